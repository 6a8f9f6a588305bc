package tokenize

import (
	"fmt"
	"slices"
)

// EncodeWindows tokenizes a question with a context that can be too long: each
// encoding holds the whole question, as much of the context as maxLength
// (special tokens included) leaves room for, and repeats the last stride tokens of the
// context of the one before. It equals truncation only_second with return_overflowing_tokens
// in transformers, except that all windows have the type ids of the template.
func (t *Tokenizer) EncodeWindows(question, context string, maxLength, stride int) ([]Encoding, error) {
	s := scratches.Get().(*scratch)
	defer s.release()
	s.tokens = s.tokens[:0]
	if err := t.scan(s, question); err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	asked := len(s.tokens)
	if err := t.scan(s, context); err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	first, second := s.tokens[:asked], s.tokens[asked:]
	room := maxLength - t.template.specialTokens(true) - asked
	switch {
	case room <= 0:
		return nil, fmt.Errorf("max length %d leaves no room for the context: the question has %d tokens, the template %d",
			maxLength, asked, t.template.specialTokens(true))
	case stride < 0 || stride >= room && len(second) > room:
		return nil, fmt.Errorf("stride %d, want 0 or more and below %d, the context's room", stride, room)
	}
	t.trim(first)
	var windows []Encoding
	for start := 0; ; start += room - stride {
		end := min(start+room, len(second))
		part := slices.Clone(second[start:end]) // trimming depends on what is first in a window
		t.trim(part)
		windows = append(windows, t.fill([2][]found{first, part}, true, true))
		if end == len(second) {
			return windows, nil
		}
	}
}
