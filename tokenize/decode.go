package tokenize

import (
	"fmt"
	"strings"
)

// tokensOf returns the tokens of ids; ids without one are left out.
func (t *Tokenizer) tokensOf(ids []int, skipSpecial bool) ([]string, error) {
	tokens := make([]string, 0, len(ids))
	for i, id := range ids {
		if id < 0 {
			return nil, fmt.Errorf("id %d at place %d, want 0 or more", id, i)
		}
		token, ok := t.Token(id)
		if !ok || skipSpecial && t.added.isSpecial(token) {
			continue
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

func (t *Tokenizer) join(tokens []string) string {
	if t.decoder == nil {
		return strings.Join(tokens, " ")
	}
	return strings.Join(t.decoder.decode(tokens), "")
}
