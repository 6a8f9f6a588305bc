package models

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
)

// Check reports everything in a batch that a model of this shape cannot read, each
// problem with the number of its sequence. Every Backbone calls it first.
func (s Shape) Check(batch Batch) error {
	var found []error
	for i, sequence := range batch.Sequences {
		for _, err := range []error{s.checkIDs(sequence), s.CheckLength(sequence), s.checkPrompt(sequence.Prompt), sequence.checkPlaces()} {
			if err != nil {
				found = append(found, fmt.Errorf("sequence %d: %w", i, err))
			}
		}
	}
	return errors.Join(found...)
}

// CheckIDs reports the first of the token ids that has no word embedding.
func (s Shape) CheckIDs(ids []int) error {
	outside := func(id int) bool { return id < 0 || id >= s.Vocab }
	if at := slices.IndexFunc(ids, outside); at >= 0 {
		return fmt.Errorf("%w: token %d is %d, the vocabulary has %d", ErrTokenID, at, ids[at], s.Vocab)
	}
	return nil
}

func (s Shape) checkIDs(sequence Sequence) error {
	if err := s.CheckIDs(sequence.IDs); err != nil {
		return err
	}
	types := sequence.TypeIDs
	if types == nil {
		return nil
	}
	if len(types) != len(sequence.IDs) {
		return fmt.Errorf("%w: found %d token types for %d tokens", ErrTokenID, len(types), len(sequence.IDs))
	}
	if s.TypeVocab == 0 {
		return nil // a tokenizer may tell them all the same: they change nothing
	}
	outside := func(id int) bool { return id < 0 || id >= s.TypeVocab }
	if at := slices.IndexFunc(types, outside); at >= 0 {
		return fmt.Errorf("%w: token type %d is %d, the model has %d", ErrTokenID, at, types[at], s.TypeVocab)
	}
	return nil
}

// CheckLength reports a sequence without a token, or longer with its prompt than the model's positions.
func (s Shape) CheckLength(sequence Sequence) error {
	tokens, virtual := len(sequence.IDs), sequence.before()+sequence.Prompt.pastLen()
	if tokens+sequence.before() == 0 {
		return fmt.Errorf("%w: found no token, want at least 1", ErrTokenID)
	}
	if s.MaxPositions > 0 && tokens+virtual > s.MaxPositions {
		return fmt.Errorf("%w: %d tokens and %d virtual tokens, the model has %d positions",
			ErrTooLong, tokens, virtual, s.MaxPositions)
	}
	return nil
}

func (s Shape) checkPrompt(p *Prompt) error {
	if p == nil {
		return nil
	}
	if p.Input != nil && kernel.Cols(p.Input) != s.Embedding {
		return fmt.Errorf("%w: its rows have %d columns, the word embeddings %d", ErrPrompt, kernel.Cols(p.Input), s.Embedding)
	}
	if len(p.Past) > 0 && len(p.Past) != s.Layers {
		return fmt.Errorf("%w: it has keys and values for %d layers, the model has %d", ErrPrompt, len(p.Past), s.Layers)
	}
	rows, cols := p.pastLen(), s.KVHeads*s.HeadDim
	for i, kv := range p.Past {
		if kv.Keys == nil || kv.Values == nil {
			return fmt.Errorf("%w: layer %d lacks keys or values", ErrPrompt, i)
		}
		if !slices.Equal(kv.Keys.Shape(), []int{rows, cols}) || !slices.Equal(kv.Values.Shape(), []int{rows, cols}) {
			return fmt.Errorf("%w: layer %d has keys %v and values %v, want [%d %d]",
				ErrPrompt, i, kv.Keys.Shape(), kv.Values.Shape(), rows, cols)
		}
	}
	return nil
}

// before is how many virtual tokens stand before the tokens.
func (s Sequence) before() int {
	if s.Virtual != nil {
		return 0
	}
	return s.Prompt.inputLen()
}

// checkPlaces reports places of virtual tokens and of rows to read that are not there.
func (s Sequence) checkPlaces() error {
	if s.Virtual != nil {
		rows := s.Prompt.inputLen()
		outside := func(row int) bool { return row < -1 || row >= rows }
		if len(s.Virtual) != len(s.IDs) {
			return fmt.Errorf("%w: found places of virtual tokens for %d tokens, want %d", ErrPrompt, len(s.Virtual), len(s.IDs))
		}
		if at := slices.IndexFunc(s.Virtual, outside); at >= 0 {
			return fmt.Errorf("%w: token %d is virtual token %d, the prompt has %d", ErrPrompt, at, s.Virtual[at], rows)
		}
	}
	first := -s.before()
	for i, token := range s.Reads {
		if token < first || token >= len(s.IDs) || i > 0 && token <= s.Reads[i-1] {
			return fmt.Errorf("%w: token %d is to be read, want ascending ones of %d tokens", ErrTokenID, token, len(s.IDs))
		}
	}
	return nil
}

// Layout returns where the sequences of a batch lie, and the position of each
// sequence's first row: those after a past are numbered behind it.
// Source: transformers 5.23, modeling_bert.py, BertEmbeddings with past_key_values_length.
func Layout(batch Batch) (spans []Span, firstPosition []int) {
	at := 0
	for _, sequence := range batch.Sequences {
		prompt := sequence.before()
		end := at + prompt + len(sequence.IDs)
		spans = append(spans, Span{at, end, prompt})
		firstPosition = append(firstPosition, sequence.Prompt.pastLen())
		at = end
	}
	return spans, firstPosition
}

// FirstRows returns the number of each sequence's first row, and the spans of the rows
// when the others are left out.
func FirstRows(spans []Span) (rows []int, alone []Span) {
	for i, s := range spans {
		rows = append(rows, s.Start)
		alone = append(alone, Span{i, i + 1, min(s.Prompt, 1)})
	}
	return rows, alone
}

// Wanted returns the numbers of the rows that the head reads, and where they lie when the
// others are left out. nil rows: all are read.
func Wanted(batch Batch, spans []Span) (rows []int, alone []Span) {
	reads := func(s Sequence) bool { return s.Reads != nil }
	switch {
	case !slices.ContainsFunc(batch.Sequences, reads) && batch.FirstRows:
		return FirstRows(spans)
	case !slices.ContainsFunc(batch.Sequences, reads):
		return nil, spans
	}
	rows = []int{}
	for i, s := range batch.Sequences {
		span, start := spans[i], len(rows)
		switch {
		case s.Reads != nil:
			for _, token := range s.Reads {
				rows = append(rows, span.Start+span.Prompt+token)
			}
			span.Prompt = 0
		case batch.FirstRows:
			rows, span.Prompt = append(rows, span.Start), min(span.Prompt, 1)
		default:
			for row := span.Start; row < span.End; row++ {
				rows = append(rows, row)
			}
		}
		alone = append(alone, Span{start, len(rows), span.Prompt})
	}
	return rows, alone
}

// PromptsOf returns the prompts of a batch, nil if none of them adds to a layer.
func PromptsOf(batch Batch) []*Prompt {
	prompts, any := make([]*Prompt, len(batch.Sequences)), false
	for i, s := range batch.Sequences {
		prompts[i] = s.Prompt
		any = any || s.Prompt != nil && len(s.Prompt.Deltas) > 0
	}
	if !any {
		return nil
	}
	return prompts
}

// DeltasOf returns what prompts add to the rows of their sequences, nil if nothing.
func DeltasOf(prompts []*Prompt, spans []Span, dropout *layer.Dropout) *layer.Deltas {
	d := &layer.Deltas{Dropout: dropout}
	var owners []*Prompt // of the groups
	for i, p := range prompts {
		if p == nil || len(p.Deltas) == 0 {
			continue
		}
		at := slices.Index(owners, p)
		if at < 0 {
			at = len(owners)
			owners = append(owners, p)
			d.Groups = append(d.Groups, layer.DeltaGroup{Of: p.Deltas})
		}
		rows := &d.Groups[at].Rows
		if last := len(*rows) - 1; last >= 0 && (*rows)[last].End == spans[i].Start {
			(*rows)[last].End = spans[i].End
			continue
		}
		*rows = append(*rows, kernel.Span{Start: spans[i].Start, End: spans[i].End})
	}
	if owners == nil {
		return nil
	}
	return d
}

// KernelSpans returns the spans as the operators take them.
func KernelSpans(spans []Span) []kernel.Span {
	rows := make([]kernel.Span, len(spans))
	for i, s := range spans {
		rows[i] = kernel.Span{Start: s.Start, End: s.End}
	}
	return rows
}
