package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// Encoder is a template for one tokenizer and one verbalizer. It is safe for concurrent use.
type Encoder struct {
	template   *Template
	tokenizer  *tokenize.Tokenizer
	verbalizer *models.Verbalizer
	classes    map[string]int // label to its number; nil: by the token
	mask       int
	masks      int
	before     []int // special tokens
	behind     []int
	spaced     bool // white space stands before the mask
}

// Bind makes an Encoder. A nil verbalizer takes each token of a vocabulary of so many for a
// label, as probing for facts does.
func (t *Template) Bind(tokenizer *tokenize.Tokenizer, v *Verbalizer, vocabulary int) (*Encoder, error) {
	e := &Encoder{template: t, tokenizer: tokenizer, mask: tokenizer.SpecialIDs().Mask, spaced: t.spaced()}
	e.before, e.behind = tokenizer.Affixes()
	if e.mask < 0 {
		return nil, fmt.Errorf("%w: found a tokenizer without a mask token, want that of a masked language model", ErrTemplate)
	}
	var err error
	if v == nil {
		e.verbalizer, err = e.tokens(vocabulary)
	} else {
		e.verbalizer, err = e.words(v)
	}
	if err != nil {
		return nil, err
	}
	e.masks = e.verbalizer.Masks()
	return e, nil
}

// spaced tells whether white space stands before the mask. It belongs to what fills the
// mask: many vocabularies have other tokens for words behind a space.
func (t *Template) spaced() bool {
	for i, p := range t.parts[1:] {
		if before := t.parts[i]; p.mask {
			return strings.HasSuffix(before.text, " ")
		}
	}
	return false
}

// tokens makes a label of each token.
func (e *Encoder) tokens(vocabulary int) (*models.Verbalizer, error) {
	v := &models.Verbalizer{Labels: make([]string, vocabulary)}
	for id := range vocabulary {
		name, err := e.tokenizer.Decode([]int{id}, false)
		if err != nil {
			return nil, err
		}
		v.Labels[id] = strings.TrimSpace(name)
	}
	return v, nil
}

// words looks up the words of every label.
func (e *Encoder) words(v *Verbalizer) (*models.Verbalizer, error) {
	known := &models.Verbalizer{Labels: v.Labels}
	e.classes = map[string]int{}
	var found []error
	for i, label := range v.Labels {
		e.classes[label] = i
		var words [][]int
		for _, word := range v.Words[label] {
			ids, err := e.word(word)
			if err != nil {
				found = append(found, fmt.Errorf("%w: word %q of label %q: %w", ErrVerbalizer, word, label, err))
			}
			words = append(words, ids)
		}
		if len(words) == 0 {
			found = append(found, fmt.Errorf("%w: found no word of label %q, want at least one", ErrVerbalizer, label))
		}
		known.Words = append(known.Words, words)
	}
	return known, errors.Join(found...)
}

// word returns the tokens of a word in the place of the mask.
func (e *Encoder) word(word string) ([]int, error) {
	if e.spaced {
		word = " " + word
	}
	encoding, err := e.tokenizer.Encode(word, &tokenize.Options{NoSpecialTokens: true})
	switch unknown := e.tokenizer.SpecialIDs().Unk; {
	case err != nil:
		return nil, err
	case len(encoding.IDs) == 0:
		return nil, errors.New("found no token of it, want at least one")
	case unknown >= 0 && slices.Contains(encoding.IDs, unknown):
		return nil, errors.New("found the token of unknown words for it, want a word of the vocabulary")
	}
	return encoding.IDs, nil
}

// Template returns the template.
func (e *Encoder) Template() *Template { return e.template }

// Labels are the names of the classes.
func (e *Encoder) Labels() []string { return e.verbalizer.Labels }

// HasWords is false where the labels are the tokens of the vocabulary.
func (e *Encoder) HasWords() bool { return e.classes != nil }

// Class returns the number of a label.
func (e *Encoder) Class(label string) (int, error) {
	if e.HasWords() {
		class, ok := e.classes[label]
		if !ok {
			return 0, fmt.Errorf("%w: found label %q, want one of %q", ErrVerbalizer, label, e.Labels())
		}
		return class, nil
	}
	ids, err := e.word(label)
	if err == nil && len(ids) != 1 {
		err = fmt.Errorf("found %d tokens of it, want one", len(ids))
	}
	if err != nil {
		return 0, fmt.Errorf("%w: label %q, which is a token where no verbalizer says its words: %w", ErrVerbalizer, label, err)
	}
	return ids[0], nil
}

// Model makes of a language model the classifier whose sequences Encode makes.
func (e *Encoder) Model(language *models.Model) (*models.Model, error) {
	return language.Verbalize(e.verbalizer)
}

// Input is an example as a model takes it.
type Input struct {
	IDs     []int
	Virtual []int // for each token the row of the prompt in its place, or -1; nil: the template has no trained tokens
	Reads   []int // the masks
	// Truncated: the fields have more tokens than there was room for, and lost their ends.
	Truncated bool
}

// token is a token of an input, or a place.
type token struct {
	id    int
	row   int  // of the prompt; -1: none
	mask  bool // to be read
	field int  // the place of a field that it comes from, from 0; -1: none
}

// Encode fills in the template. Where that is longer than maxLength (0: any length) the
// longest field loses its end, the later of two equal ones, until it fits: the template and
// its mask always stay.
func (e *Encoder) Encode(field func(name string) (string, error), maxLength int) (Input, error) {
	tokens, fields, err := e.fill(field)
	if err != nil {
		return Input{}, err
	}
	total := len(e.before) + len(tokens) + len(e.behind)
	excess := total - maxLength
	if maxLength == 0 {
		excess = 0
	}
	drop, ok := shorten(tokens, fields, excess)
	if !ok {
		return Input{}, fmt.Errorf("%w: found a maximal length of %d, want at least the %d tokens of the template alone", ErrTemplate, maxLength, withoutFields(tokens)+total-len(tokens))
	}
	in := Input{Truncated: excess > 0}
	add := func(t token) {
		if t.mask {
			in.Reads = append(in.Reads, len(in.IDs))
		}
		in.IDs, in.Virtual = append(in.IDs, t.id), append(in.Virtual, t.row)
	}
	for _, id := range e.before {
		add(token{id: id, row: -1})
	}
	for i, t := range tokens {
		if !drop[i] {
			add(t)
		}
	}
	for _, id := range e.behind {
		add(token{id: id, row: -1})
	}
	if e.template.virtual == 0 {
		in.Virtual = nil
	}
	return in, nil
}

// fill returns the tokens of the template with its fields, whose places it counts.
func (e *Encoder) fill(field func(name string) (string, error)) (tokens []token, fields int, err error) {
	run := &text{}
	flush := func(slot bool) error {
		made, err := run.tokens(e.tokenizer, slot)
		tokens, run = append(tokens, made...), &text{}
		return err
	}
	for _, p := range e.template.parts {
		switch {
		case p.isSlot():
			if err := flush(true); err != nil {
				return nil, 0, err
			}
			tokens = append(tokens, e.slot(p)...)
		case p.field != "":
			value, err := field(p.field)
			if err != nil {
				return nil, 0, err
			}
			run.add(value, fields)
			fields++
		default:
			run.add(p.text, -1)
		}
	}
	return tokens, fields, flush(false)
}

// slot returns the tokens of a place.
func (e *Encoder) slot(p part) []token {
	if p.row >= 0 {
		return []token{{id: e.mask, row: p.row, field: -1}} // any id: the prompt takes its place
	}
	masks := make([]token, e.masks)
	for i := range masks {
		masks[i] = token{id: e.mask, row: -1, mask: true, field: -1}
	}
	return masks
}

// text is what stands between two places: words of the template and fields, tokenized
// together, since tokens may reach over their borders.
type text struct {
	content strings.Builder
	length  int // characters
	pieces  []piece
}

type piece struct{ end, field int } // the end in characters

func (t *text) add(content string, field int) {
	t.content.WriteString(content)
	t.length += len([]rune(content))
	t.pieces = append(t.pieces, piece{t.length, field})
}

// tokens tokenizes the text, without the white space before a place. A token is a field's
// if it ends in it.
func (t *text) tokens(tokenizer *tokenize.Tokenizer, slot bool) ([]token, error) {
	content := t.content.String()
	if slot {
		content = strings.TrimRight(content, " ")
	}
	encoding, err := tokenizer.Encode(content, &tokenize.Options{NoSpecialTokens: true})
	if err != nil || len(t.pieces) == 0 {
		return nil, err
	}
	tokens := make([]token, len(encoding.IDs))
	piece := 0
	for i, id := range encoding.IDs {
		for piece < len(t.pieces)-1 && encoding.Offsets[i].End > t.pieces[piece].end {
			piece++
		}
		tokens[i] = token{id: id, row: -1, field: t.pieces[piece].field}
	}
	return tokens, nil
}

// shorten chooses the tokens to leave out, from the ends of the longest fields; ok is false
// where the fields have too few.
func shorten(tokens []token, fields, excess int) (drop map[int]bool, ok bool) {
	lengths := make([]int, fields)
	for _, t := range tokens {
		if t.field >= 0 {
			lengths[t.field]++
		}
	}
	for range excess {
		longest := 0
		for f, length := range lengths {
			if length >= lengths[longest] {
				longest = f
			}
		}
		if lengths[longest] == 0 {
			return nil, false
		}
		lengths[longest]--
	}
	drop = map[int]bool{}
	for i, t := range tokens {
		if t.field < 0 {
			continue
		}
		if lengths[t.field]--; lengths[t.field] < 0 {
			drop[i] = true
		}
	}
	return drop, true
}

func withoutFields(tokens []token) int {
	n := 0
	for _, t := range tokens {
		if t.field < 0 {
			n++
		}
	}
	return n
}
