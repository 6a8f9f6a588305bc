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

// The defaults of transformers' question-answering pipeline.
const (
	maxAnswerTokens = 15
	windowStride    = 128
)

// Answer answers a task of QUESTION_ANS: for each question the part of its context
// with the highest sum of start and end score, of at most 15 tokens. A context that
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
		encode := func(w tokenize.Encoding) (tokenize.Encoding, error) { return w, nil }
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

// bestSpan returns the best span of the context's tokens; rows holds start and end
// score of each token.
func bestSpan(e tokenize.Encoding, rows []float32) (best Answer, found bool) {
	for start := range e.IDs {
		if e.Sequences[start] != 1 {
			continue
		}
		for end := start; end < min(start+maxAnswerTokens, len(e.IDs)) && e.Sequences[end] == 1; end++ {
			score := float64(rows[2*start]) + float64(rows[2*end+1])
			if !found || score > best.Score {
				best = Answer{Start: e.Offsets[start].Start, End: e.Offsets[end].End, Score: score}
				found = true
			}
		}
	}
	return best, found
}
