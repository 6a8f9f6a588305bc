package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/models"
)

// Evaluation is how well an adapter does on data.
type Evaluation struct {
	Loss     float64 // mean over the data
	Examples int
	// Metrics by name: accuracy, f1_macro, f1_micro, mcc, and f1 of class 1 where there
	// are two; mse and pearson of a regression; of tokens precision, recall and f1 of
	// entities and the accuracy; of a language model its perplexity and the accuracy of the
	// next token, for all tokens but the first of a text; of answers exact_match and f1, from 0 to 100.
	Metrics map[string]float64
}

// Evaluate measures a model on labelled features, without dropout. The batch size has
// no influence but rounding; 0 means 32.
func Evaluate(ctx context.Context, m *adapters.PeftModel, features []Feature, batchSize int) (Evaluation, error) {
	return tuned{m}.evaluate(ctx, features, batchSize, models.NewPool())
}

// EvaluateBase measures a model without an adapter, as Evaluate does.
func EvaluateBase(ctx context.Context, base *models.Model, features []Feature, batchSize int) (Evaluation, error) {
	return measured{base, base.Labels, base.Forward}.evaluate(ctx, features, batchSize, models.NewPool())
}

// measured is what answers: a base, and what runs it.
type measured struct {
	base    *models.Model
	labels  []string // names of the outputs; nil: they have none
	forward func(models.Batch) (mat.Tensor, models.Output, error)
}

func (m measured) evaluate(ctx context.Context, features []Feature, batchSize int, pool *models.Pool) (Evaluation, error) {
	if batchSize <= 0 {
		batchSize = defaultBatch
	}
	if len(features) == 0 {
		return Evaluation{}, errors.New("evaluation: found no examples, want at least one")
	}
	if err := checkFeatures(m.base.Task, len(m.labels), "evaluation", features, true); err != nil {
		return Evaluation{}, err
	}
	if m.base.Task == models.CausalLM {
		features = withoutFirst(features)
		if err := checkCounted(m.base.Task, "evaluation", features); err != nil {
			return Evaluation{}, err
		}
	}
	a := &answers{task: m.base.Task, problem: m.base.ProblemType, labels: m.labels}
	for batch := range slices.Chunk(features, batchSize) {
		if err := ctx.Err(); err != nil {
			return Evaluation{}, fmt.Errorf("evaluation interrupted: %w", err)
		}
		logits, out, err := m.forward(models.Batch{Sequences: sequences(batch), Pool: pool})
		if err != nil {
			return Evaluation{}, err
		}
		loss, err := models.Loss(a.task, a.problem, logits, out, labelsOf(a.task, batch, out))
		if err != nil {
			return Evaluation{}, err
		}
		if n := counted(a.task, batch); n > 0 {
			a.loss += float64(n) * float64(models.Values(loss)[0])
			a.terms += n
		}
		a.add(batch, models.Values(logits), out.Spans)
		pool.Reset()
	}
	return Evaluation{Loss: a.loss / float64(max(1, a.terms)), Examples: len(features), Metrics: a.metrics(features)}, nil
}

// withoutFirst leaves out the first tokens of texts, which virtual tokens alone can predict. Most are
// begin tokens, soon learnt by heart: a perplexity with them is no measure beside one without virtual tokens.
func withoutFirst(features []Feature) []Feature {
	features = slices.Clone(features)
	for i := range features {
		if f := &features[i]; len(f.Reads) > 0 && f.Reads[0] == -1 {
			f.Reads, f.Targets = f.Reads[1:], f.Targets[1:]
			if f.Weights != nil {
				f.Weights = f.Weights[1:]
			}
		}
	}
	return features
}

// answers collects what a model says.
type answers struct {
	task    models.Task
	problem string
	labels  []string

	loss  float64
	terms int

	classes         []int // of sequences, or of the words of all sentences
	wanted          []int
	several, truths [][]bool
	values, targets []float64
	tags, goldTags  [][]string
	spans           [][]float32 // start and end scores of each feature's tokens
	width           int
}

// add takes the scores of a batch, [B, C] or [R, C].
func (a *answers) add(batch []Feature, scores []float32, spans []models.Span) {
	rows := len(batch)
	if a.task != models.SeqCls && len(spans) > 0 {
		rows = spans[len(spans)-1].End
	}
	a.width = len(scores) / max(1, rows)
	for i, f := range batch {
		switch a.task {
		case models.TokenCls:
			a.addTags(f, scores[(spans[i].Start+spans[i].Prompt)*a.width:])
		case models.CausalLM, models.Seq2SeqLM:
			a.addTargets(f, scores[spans[i].Start*a.width:])
		case models.QuestionAns:
			a.spans = append(a.spans, slices.Clone(scores[(spans[i].Start+spans[i].Prompt)*2:spans[i].End*2]))
		default:
			a.addSequence(f, scores[i*a.width:(i+1)*a.width])
		}
	}
}

func (a *answers) addSequence(f Feature, scores []float32) {
	if f.Values == nil {
		a.classes, a.wanted = append(a.classes, models.Argmax(scores)), append(a.wanted, f.Class)
		return
	}
	if a.problem == models.Regression || a.problem == "" && a.width == 1 {
		for i, s := range scores {
			a.values, a.targets = append(a.values, float64(s)), append(a.targets, float64(f.Values[i]))
		}
		return
	}
	p, w := make([]bool, len(scores)), make([]bool, len(scores))
	for i, s := range scores {
		p[i], w[i] = s > 0, f.Values[i] > 0.5 // sigmoid(s) > 1/2
	}
	a.several, a.truths = append(a.several, p), append(a.truths, w)
}

// addTargets takes the next token of every row.
func (a *answers) addTargets(f Feature, scores []float32) {
	for i, target := range f.Targets {
		a.classes, a.wanted = append(a.classes, models.Argmax(scores[i*a.width:(i+1)*a.width])), append(a.wanted, target)
	}
}

// addTags takes the first token of every word.
func (a *answers) addTags(f Feature, scores []float32) {
	var tags, gold []string
	for i, tag := range f.Tags {
		if tag == models.Ignored {
			continue
		}
		class := models.Argmax(scores[i*a.width : (i+1)*a.width])
		a.classes, a.wanted = append(a.classes, class), append(a.wanted, tag)
		tags, gold = append(tags, a.name(class)), append(gold, a.name(tag))
	}
	a.tags, a.goldTags = append(a.tags, tags), append(a.goldTags, gold)
}

func (a *answers) name(class int) string {
	if class < len(a.labels) {
		return a.labels[class]
	}
	return "O"
}

func (a *answers) metrics(features []Feature) map[string]float64 {
	switch {
	case a.task == models.TokenCls:
		e := EntityF1(a.tags, a.goldTags)
		return map[string]float64{"precision": e.Precision, "recall": e.Recall, "f1": e.F1, "accuracy": Accuracy(a.classes, a.wanted)}
	case IsWriting(a.task):
		return map[string]float64{"perplexity": math.Exp(a.loss / float64(max(1, a.terms))), "accuracy": Accuracy(a.classes, a.wanted)}
	case a.task == models.QuestionAns:
		return a.spanMetrics(features)
	case a.values != nil:
		return map[string]float64{"mse": MeanSquares(a.values, a.targets), "pearson": Pearson(a.values, a.targets)}
	case a.several != nil:
		s := F1Several(a.several, a.truths, a.width)
		return map[string]float64{"f1_micro": s.Micro, "f1_macro": s.Macro, "accuracy": subsetAccuracy(a.several, a.truths)}
	}
	s := F1(a.classes, a.wanted, a.width)
	m := map[string]float64{
		"accuracy": Accuracy(a.classes, a.wanted), "f1_macro": s.Macro, "f1_micro": s.Micro,
		"mcc": MCC(a.classes, a.wanted, a.width),
	}
	if a.width == 2 {
		m["f1"] = s.PerClass[1]
	}
	return m
}

func (a *answers) spanMetrics(features []Feature) map[string]float64 {
	none := slices.ContainsFunc(features, func(f Feature) bool { return len(f.Context.Answers) == 0 })
	var exact, f1 float64
	for i, f := range features {
		var wanted []string
		for _, answer := range f.Context.Answers {
			wanted = append(wanted, answer.Text)
		}
		em, words := SQuADScores(BestAnswer(f.Context, a.spans[i], none), wanted)
		exact, f1 = exact+em, f1+words
	}
	n := float64(len(features)) / 100
	return map[string]float64{"exact_match": exact / n, "f1": f1 / n}
}

// subsetAccuracy is the share of examples all of whose labels are right.
func subsetAccuracy(predicted, wanted [][]bool) float64 {
	right := 0
	for i, p := range predicted {
		right += oneIf(slices.Equal(p, wanted[i]))
	}
	return ratio(right, len(predicted))
}
