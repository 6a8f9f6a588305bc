package predict

import (
	"context"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// Tag is the answer of TOKEN_CLS to one word.
type Tag struct {
	Label string  `json:"label"`
	Score float64 `json:"score"` // its probability
}

// Tag answers a task of TOKEN_CLS: a tag for each word of each text. A word's tag is
// that of its first token; words that a text longer than MaxLength lost have the
// empty Tag.
func (p *Predictor) Tag(ctx context.Context, texts [][]string) ([][]Tag, error) {
	if err := p.want(models.TokenCls); err != nil {
		return nil, err
	}
	encode := func(_ int, words []string) (encoded, error) {
		encoding, err := p.base.tokenizer.EncodeWords(words, &tokenize.Options{MaxLength: p.MaxLength})
		return encoded{Encoding: encoding}, err
	}
	answers := make([][]Tag, len(texts))
	err := run(ctx, p, texts, encode, func(i int, encoding tokenize.Encoding, rows []float32, columns int) {
		answers[i] = p.tags(len(texts[i]), encoding, rows, columns)
	})
	return answers, err
}

func (p *Predictor) tags(words int, encoding tokenize.Encoding, rows []float32, columns int) []Tag {
	tags := make([]Tag, words)
	for t, word := range encoding.Words {
		if word < 0 || tags[word].Label != "" {
			continue
		}
		best := p.best(softmax(rows[t*columns : (t+1)*columns]))
		tags[word] = Tag{best.Label, best.Score}
	}
	return tags
}
