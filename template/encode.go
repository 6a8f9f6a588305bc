package template

import (
	"fmt"
	"strings"

	"github.com/gopeft/gopeft/tokenize"
)

// Input is an example as a model takes it.
type Input struct {
	IDs     []int
	Virtual []int // for each token the row of the prompt in its place, or -1; nil: the template has no trained tokens
	Reads   []int // the masks, or before a causal model's answer the last token
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
	if e.isCausal() {
		in.Reads = []int{len(in.IDs) - 1}
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
	if e.isCausal() {
		return nil
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
