package tokenize

import (
	"fmt"
	"math"
	"sync"
	"unicode/utf8"
)

// found is a token with its place, before the template is filled in.
type found struct {
	id       int32
	from, to int32 // characters of the text
	word     int32
	text     string // of an added or unknown token, as it was found; "": the model's
}

// scratch is the memory of one encoding.
type scratch struct {
	in, out    text
	part       text // of in, between added tokens
	raw        []match
	normalized []match
	pieces     []piece
	tokens     []found
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release gives the memory back for the next encoding, but not that of a rare long text.
func (s *scratch) release() {
	const most = 1 << 20
	clear(s.tokens)
	if cap(s.in.bytes) <= most && cap(s.out.bytes) <= most && cap(s.tokens) <= most {
		scratches.Put(s)
	}
}

// maxTextBytes keeps byte and character numbers within int32.
const maxTextBytes = math.MaxInt32 / 4

// encode runs first and, where it is not nil, second, each of which appends
// the tokens of one sequence, and puts them into the template.
func (t *Tokenizer) encode(opts *Options, first, second func(*scratch) error) (Encoding, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	s.tokens = s.tokens[:0]
	if err := first(s); err != nil {
		return Encoding{}, err
	}
	a := len(s.tokens)
	t.trim(s.tokens)
	if second != nil {
		if err := second(s); err != nil {
			return Encoding{}, err
		}
		t.trim(s.tokens[a:])
	}
	sequences := [2][]found{s.tokens[:a], s.tokens[a:]}
	special := t.template.specialTokens(second != nil)
	if opts.NoSpecialTokens {
		special = 0
	}
	if err := truncate(&sequences, second != nil, special, opts); err != nil {
		return Encoding{}, err
	}
	return t.fill(sequences, second != nil, !opts.NoSpecialTokens), nil
}

// scan appends the tokens of one text to s.tokens.
func (t *Tokenizer) scan(s *scratch, input string) error {
	return t.scanPart(s, input, 0, true)
}

// scanWords appends the tokens of each word; offsets start again at each word.
func (t *Tokenizer) scanWords(s *scratch, words []string) error {
	for i, word := range words {
		if err := t.scanPart(s, word, int32(i), false); err != nil {
			return fmt.Errorf("word %d: %w", i, err)
		}
	}
	return nil
}

// scanPart appends the tokens of input. Their words are numbered from word on
// where count is true, and are all number word where it is not.
func (t *Tokenizer) scanPart(s *scratch, input string, word int32, count bool) error {
	if len(input) > maxTextBytes {
		return fmt.Errorf("text of %d bytes, want at most %d", len(input), maxTextBytes)
	}
	counter := wordCounter{word, count}
	character, done := int32(0), 0
	s.raw = t.added.raw.split(s.raw[:0], input)
	for _, m := range s.raw {
		if m.start < done {
			// The token before took white space along that this one begins with.
			character -= int32(utf8.RuneCountInString(input[m.start:done]))
		}
		done = m.end
		part := input[m.start:m.end]
		next := s.in.load(part, character)
		if m.token >= 0 {
			s.tokens = append(s.tokens, addedTokenFound(m.token, part, character, next, counter.next()))
		} else if err := t.scanNormalized(s, &counter); err != nil {
			return err
		}
		character = next
	}
	return nil
}

type wordCounter struct {
	word  int32
	count bool
}

func (c *wordCounter) next() int32 {
	word := c.word
	if c.count {
		c.word++
	}
	return word
}

func addedTokenFound(id int, part string, from, to, word int32) found {
	return found{id: int32(id), from: from, to: to, word: word, text: part}
}

// scanNormalized appends the tokens of s.in, which holds no added token as it stands.
func (t *Tokenizer) scanNormalized(s *scratch, counter *wordCounter) error {
	if t.normalizer != nil {
		s.out.reset()
		t.normalizer.normalize(&s.in, &s.out)
		s.in, s.out = s.out, s.in
	}
	if t.added.normalized.empty() {
		return t.scanWordsOf(s, 0, len(s.in.bytes), counter)
	}
	// The view is read before s.in changes: pre-tokenisers get a copy.
	view := string(s.in.bytes)
	s.normalized = t.added.normalized.split(s.normalized[:0], view)
	for _, m := range s.normalized {
		if m.token >= 0 {
			from, to := s.in.original(span{int32(m.start), int32(m.end)})
			s.tokens = append(s.tokens, addedTokenFound(m.token, view[m.start:m.end], from, to, counter.next()))
		} else if err := t.scanWordsOf(s, m.start, m.end, counter); err != nil {
			return err
		}
	}
	return nil
}

// scanWordsOf appends the tokens of the bytes [start, end) of s.in.
func (t *Tokenizer) scanWordsOf(s *scratch, start, end int, counter *wordCounter) error {
	if start == end {
		return nil
	}
	part := &s.in
	if end-start < len(s.in.bytes) {
		// A pre-tokeniser may rewrite what it gets, and the rest is still to be read.
		part = &s.part
		part.reset()
		part.copyFrom(&s.in, span{int32(start), int32(end)})
	}
	part.oneWord(0, end-start)
	if t.preTokenizer != nil {
		t.preTokenizer.preTokenize(part)
	}
	for _, w := range part.words {
		var err error
		if s.pieces, err = t.model.tokenize(s.pieces[:0], part.bytes[w.start:w.end]); err != nil {
			return err
		}
		word := counter.next()
		for _, p := range s.pieces {
			place := span{w.start + p.start, w.start + p.end}
			from, to := part.original(place)
			f := found{id: p.id, from: from, to: to, word: word}
			if p.asIs {
				f.text = string(part.bytes[place.start:place.end])
			}
			s.tokens = append(s.tokens, f)
		}
	}
	return nil
}

// trim trims the offsets of a sequence's tokens, where the template says so.
func (t *Tokenizer) trim(tokens []found) {
	if t.template == nil {
		return
	}
	for _, trim := range t.template.trim {
		trim.apply(tokens, t.textOf)
	}
}

// textOf returns the text of a token.
func (t *Tokenizer) textOf(f found) string {
	if f.text != "" {
		return f.text
	}
	text, _ := t.model.token(int(f.id))
	return text
}

// fill puts the sequences into the template.
func (t *Tokenizer) fill(sequences [2][]found, pair, special bool) Encoding {
	parts := t.template.parts(pair)
	total := 0
	for _, p := range parts {
		switch {
		case p.sequence >= 0:
			total += len(sequences[p.sequence])
		case special:
			total += len(p.ids)
		}
	}
	e := newEncoding(total)
	for _, p := range parts {
		switch {
		case p.sequence >= 0:
			t.appendSequence(&e, sequences[p.sequence], p)
		case special:
			e.appendSpecial(p)
		}
	}
	return e
}

// newEncoding has room for n tokens, its int slices in one allocation.
func newEncoding(n int) Encoding {
	ints := make([]int, 4*n)
	return Encoding{
		IDs: ints[0:0:n], TypeIDs: ints[n : n : 2*n], Words: ints[2*n : 2*n : 3*n], Sequences: ints[3*n : 3*n : 4*n],
		Tokens: make([]string, 0, n), Offsets: make([]Span, 0, n), SpecialMask: make([]bool, 0, n),
	}
}

func (t *Tokenizer) appendSequence(e *Encoding, tokens []found, p part) {
	for _, f := range tokens {
		e.append(int(f.id), t.textOf(f), p.typeID, Span{int(f.from), int(f.to)}, int(f.word), p.sequence)
		e.SpecialMask = append(e.SpecialMask, false)
	}
}

func (e *Encoding) appendSpecial(p part) {
	for i, id := range p.ids {
		e.append(id, p.tokens[i], p.typeID, Span{}, -1, -1)
		e.SpecialMask = append(e.SpecialMask, true)
	}
}

func (e *Encoding) append(id int, token string, typeID int, offsets Span, word, sequence int) {
	e.IDs = append(e.IDs, id)
	e.Tokens = append(e.Tokens, token)
	e.TypeIDs = append(e.TypeIDs, typeID)
	e.Offsets = append(e.Offsets, offsets)
	e.Words = append(e.Words, word)
	e.Sequences = append(e.Sequences, sequence)
}
