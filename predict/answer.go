package predict

import (
	"context"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// Question asks for a part of a context.
type Question struct{ Question, Context string }

// Answer is the answer of QUESTION_ANS to one question.
type Answer struct {
	Text  string  `json:"answer"`
	Start int     `json:"start"` // in characters of the context
	End   int     `json:"end"`
	Score float64 `json:"score"` // the sum of the start's and the end's score, as the model gives them
}

// windowStride is how many tokens of the context two windows share, as in transformers'
// pipeline.
const windowStride = 128

// Answer answers a task of QUESTION_ANS: for each question the part of its context
// with the highest sum of start and end score, see models.BestSpan. A context that
// is longer than MaxLength allows is read in overlapping windows.
func (p *Predictor) Answer(ctx context.Context, questions []Question) ([]Answer, error) {
	if err := p.want(models.QuestionAns); err != nil {
		return nil, err
	}
	answers := make([]Answer, len(questions))
	for i, q := range questions {
		windows, err := p.windows(q)
		if err != nil {
			return nil, err
		}
		encode := func(_ int, w tokenize.Encoding) (encoded, error) { return encoded{Encoding: w}, nil }
		found := false
		err = run(ctx, p, windows, encode, func(_ int, e tokenize.Encoding, rows []float32, _ int) {
			if answer, ok := bestSpan(e, rows); ok && (!found || answer.Score > answers[i].Score) {
				answers[i], found = answer, true
			}
		})
		if err != nil {
			return nil, err
		}
		characters := []rune(q.Context)
		answers[i].Text = string(characters[answers[i].Start:answers[i].End])
	}
	return answers, nil
}

func (p *Predictor) windows(q Question) ([]tokenize.Encoding, error) {
	return p.base.tokenizer.EncodeWindows(q.Question, q.Context, p.MaxLength, min(windowStride, p.MaxLength/4))
}

// bestSpan returns the best span of a window; rows holds start and end score of each
// token.
func bestSpan(e tokenize.Encoding, rows []float32) (best Answer, found bool) {
	start, end, score, found := models.BestSpan(rows, func(token int) bool { return e.Sequences[token] == 1 })
	return Answer{Start: e.Offsets[start].Start, End: e.Offsets[end].End, Score: float64(score)}, found
}
