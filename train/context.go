package train

import (
	"errors"
	"fmt"

	"github.com/gopeft/gopeft/models"
)

// The kinds of a context's tokens, to which 4 is added with each further example.
const (
	kindTemplate = 1 + iota // special tokens before a text
	kindInput
	kindSeparator // between a text and its target
	kindLabel
)

// ContextOf returns what CPT begins with: the tokens of examples of a causal language model, one
// behind the other, and their kinds as cpt_tokens_type_mask numbers them. Special tokens begin
// the first alone. A plain text is refused: all its tokens are labels, which CPT leaves as they are.
func ContextOf(t Tokenizer, examples []Example, o EncodeOptions) (ids, kinds []int, err error) {
	o.Task = models.CausalLM
	e := &encoder{tokenizer: t, options: o}
	var found []error
	for i, example := range examples {
		pieces, err := e.pieces(example)
		if err == nil && example.Target == nil && example.Messages == nil {
			err = errors.New("found a text alone, want a target or messages beside it: CPT trains what stands before a label")
		}
		if err != nil {
			found = append(found, fmt.Errorf("%w in line %d: %w", ErrExample, example.Line, err))
		}
		for _, p := range pieces {
			of := p.kinds(4 * i)
			if i > 0 {
				p.ids, of = p.ids[p.special:], of[p.special:]
			}
			ids, kinds = append(ids, p.ids...), append(kinds, of...)
		}
	}
	return ids, kinds, errors.Join(found...)
}

// kinds are those of the tokens, with what numbers their example.
func (p learnt) kinds(example int) []int {
	kinds, target := make([]int, len(p.ids)), len(p.ids)
	for i := range p.ids {
		switch {
		case p.learn[i]:
			kinds[i], target = example+kindLabel, min(target, i)
		case i < p.special:
			kinds[i] = example + kindTemplate
		default:
			kinds[i] = example + kindInput
		}
	}
	for i := target - p.separators; i < target; i++ {
		kinds[i] = example + kindSeparator
	}
	return kinds
}
