package predict

import (
	"context"
	"math"
	"slices"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// Classification is the answer of SEQ_CLS to one text.
type Classification struct {
	Label string  `json:"label"` // of the highest probability; "" in a regression
	Score float64 `json:"score"` // its probability; in a regression the value
	// Scores holds the probability of every label, in the order of Predictor.Labels:
	// of a softmax, or each by itself where a text may have several labels.
	Scores []float64 `json:"scores"`
	// Labels are, where a text may have several, those with a probability above one half.
	Labels []string `json:"labels,omitempty"`
	// Truncated: the text is longer than Predictor.MaxLength, and its end was cut off.
	Truncated bool `json:"truncated,omitempty"`
}

// Classify answers a task of SEQ_CLS, one Classification a text.
func (p *Predictor) Classify(ctx context.Context, texts []Text) ([]Classification, error) {
	if err := p.want(models.SeqCls); err != nil {
		return nil, err
	}
	answers := make([]Classification, len(texts))
	truncated := make([]bool, len(texts))
	encode := func(i int, text Text) (encoded, error) {
		if p.template != nil {
			in, err := p.template.Encode(text.field, p.MaxLength)
			truncated[i] = in.Truncated
			return encoded{tokenize.Encoding{IDs: in.IDs}, in.Virtual, in.Reads}, err
		}
		encoding, err := p.encode(text, p.MaxLength)
		if err == nil && len(encoding.IDs) == p.MaxLength {
			var whole tokenize.Encoding
			whole, err = p.encode(text, 0)
			truncated[i] = len(whole.IDs) > p.MaxLength
		}
		return encoded{Encoding: encoding}, err
	}
	err := run(ctx, p, texts, encode, func(i int, _ tokenize.Encoding, scores []float32, _ int) {
		answers[i] = p.classification(scores)
		answers[i].Truncated = truncated[i]
	})
	return answers, err
}

func (p *Predictor) encode(text Text, maxLength int) (tokenize.Encoding, error) {
	opts := &tokenize.Options{MaxLength: maxLength}
	if text.Pair != "" {
		return p.base.tokenizer.EncodePair(text.Text, text.Pair, opts)
	}
	return p.base.tokenizer.Encode(text.Text, opts)
}

func (p *Predictor) classification(scores []float32) Classification {
	switch {
	case p.ProblemType == models.Regression || p.ProblemType == "" && len(scores) == 1:
		values := make([]float64, len(scores))
		for i, s := range scores {
			values[i] = float64(s)
		}
		return Classification{Score: values[0], Scores: values}
	case p.ProblemType == models.MultiLabel:
		answer := p.best(sigmoid(scores))
		for l, probability := range answer.Scores {
			if probability > 0.5 {
				answer.Labels = append(answer.Labels, p.Labels[l])
			}
		}
		return answer
	}
	return p.best(softmax(scores))
}

func (p *Predictor) best(probabilities []float64) Classification {
	at := slices.Index(probabilities, slices.Max(probabilities))
	return Classification{Label: p.Labels[at], Score: probabilities[at], Scores: probabilities}
}

func softmax(scores []float32) []float64 {
	top := slices.Max(scores)
	probabilities := make([]float64, len(scores))
	var sum float64
	for i, s := range scores {
		probabilities[i] = math.Exp(float64(s - top))
		sum += probabilities[i]
	}
	for i := range probabilities {
		probabilities[i] /= sum
	}
	return probabilities
}

func sigmoid(scores []float32) []float64 {
	probabilities := make([]float64, len(scores))
	for i, s := range scores {
		probabilities[i] = 1 / (1 + math.Exp(-float64(s)))
	}
	return probabilities
}
