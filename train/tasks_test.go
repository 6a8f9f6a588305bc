package train_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/train"
)

// toyTags marks token 5 as B-X, and a token 6 after it as I-X. The first token of each
// text has no tag, as a special token.
func toyTags(n int) []train.Feature {
	random := rand.New(rand.NewPCG(5, 0))
	features := make([]train.Feature, n)
	for i := range features {
		f := train.Feature{IDs: []int{2}, Tags: []int{models.Ignored}}
		for range 2 + random.IntN(4) {
			if random.IntN(2) == 0 {
				f.IDs, f.Tags = append(f.IDs, 5, 6), append(f.Tags, 1, 2)
			} else {
				f.IDs, f.Tags = append(f.IDs, 10+random.IntN(20)), append(f.Tags, 0)
			}
		}
		features[i] = f
	}
	return features
}

// toyAnswers looks for token 5 and the one behind it.
func toyAnswers(n int) []train.Feature {
	const text = "abcdefgh"
	random := rand.New(rand.NewPCG(6, 0))
	features := make([]train.Feature, n)
	for i := range features {
		at := random.IntN(7)
		f := train.Feature{IDs: []int{2, 7, 3}, Start: 3 + at, End: 4 + at}
		f.Context = &train.Context{Text: text, Answers: []train.Answer{{Text: text[at : at+2], Start: at}}}
		f.Context.Offsets = []tokenize.Span{{Start: -1, End: -1}, {Start: -1, End: -1}, {Start: -1, End: -1}}
		for k := range 8 {
			f.Context.Offsets = append(f.Context.Offsets, tokenize.Span{Start: k, End: k + 1})
			f.IDs = append(f.IDs, 10+random.IntN(20))
		}
		f.IDs[f.Start], f.IDs[f.End] = 5, 6
		features[i] = f
	}
	return features
}

// The best adapter can only be found if labels, scores and virtual tokens' rows fit.
func TestLearnsTokensAndAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		task     models.Task
		labels   []string
		features []train.Feature
		most     float64
	}{
		"tokens":  {models.TokenCls, []string{"O", "B-X", "I-X"}, toyTags(32), 1},
		"answers": {models.QuestionAns, nil, toyAnswers(32), 100},
	} {
		for _, method := range []hfio.PeftType{hfio.PromptTuning, hfio.PrefixTuning} {
			t.Run(name+", "+string(method), func(t *testing.T) {
				m := newModel(t, openBase(t, c.task, c.labels...), method, nil)
				s, err := train.Run(context.Background(), m, train.Dataset{Train: c.features, Dev: c.features}, train.Config{
					Epochs: 60, BatchSize: 16, LearningRate: 0.05, NoDropout: true,
				})
				if err != nil {
					t.Fatal(err)
				}
				if s.Best < 0.95*c.most {
					t.Errorf("f1 %v on the examples it learnt, want 95 %% of %v", s.Best, c.most)
				}
			})
		}
	}
}

func TestLearnsNumbersAndSeveralLabels(t *testing.T) {
	for name, c := range map[string]struct {
		problem string
		labels  []string
		values  func(class int) []float32
		good    func(s train.Summary) bool
	}{
		"regression": {
			models.Regression,
			[]string{"score"},
			func(class int) []float32 { return []float32{float32(class) - 0.5} },
			func(s train.Summary) bool { return s.Metric == "mse" && s.Best < 0.05 },
		},
		"several": {
			models.MultiLabel,
			[]string{"a", "b", "c"},
			func(class int) []float32 { return []float32{1, float32(class), 0} },
			func(s train.Summary) bool { return s.Metric == "f1_micro" && s.Best > 0.95 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := openBase(t, models.SeqCls, c.labels...)
			base.ProblemType = c.problem
			features := toy(32, 1)
			for i, f := range features {
				features[i].Values = c.values(f.Class)
			}
			s, err := train.Run(context.Background(), newModel(t, base, hfio.PrefixTuning, nil),
				train.Dataset{Train: features, Dev: features},
				train.Config{Epochs: 60, BatchSize: 16, LearningRate: 0.03, NoDropout: true})
			if err != nil {
				t.Fatal(err)
			}
			if !c.good(s) {
				t.Errorf("found %s %v", s.Metric, s.Best)
			}
		})
	}
}

// The mean over the data does not depend on how they are divided into batches.
func TestEvaluationDoesNotDependOnBatches(t *testing.T) {
	for task, features := range map[models.Task][]train.Feature{models.SeqCls: toy(19, 4), models.TokenCls: toyTags(19)} {
		m := newModel(t, openBase(t, task, "O", "B-X", "I-X"), hfio.PromptTuning, nil)
		var losses []float64
		for _, size := range []int{1, 4, 19} {
			e, err := train.Evaluate(context.Background(), m, features, size)
			if err != nil {
				t.Fatal(err)
			}
			losses = append(losses, e.Loss)
		}
		for _, loss := range losses {
			if math.Abs(loss-losses[0]) > 1e-6 || math.IsNaN(loss) {
				t.Errorf("%s: losses %v, want one value", task, losses)
			}
		}
	}
}

// Training reads the rows of tokens with a tag alone, evaluation all rows: the loss is the same.
func TestRowsWithoutTagsCountNot(t *testing.T) {
	features := toyTags(12)
	for i := range features[4].Tags { // an example without any
		features[4].Tags[i] = models.Ignored
	}
	for _, method := range []hfio.PeftType{hfio.PromptTuning, hfio.PrefixTuning, hfio.Lora} {
		m := newModel(t, openBase(t, models.TokenCls, "O", "B-X", "I-X"), method, nil)
		e, err := train.Evaluate(context.Background(), m, features, 12)
		if err != nil {
			t.Fatal(err)
		}
		s, err := train.Run(context.Background(), m, train.Dataset{Train: features}, train.Config{MaxSteps: 1, BatchSize: 12, NoDropout: true})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.Loss-e.Loss) > 1e-6 {
			t.Errorf("%s: found the loss %v, want %v", method, s.Loss, e.Loss)
		}
	}
}

// The first token of a text, which virtual tokens alone can predict, is not measured: the loss is that of
// the others' probabilities.
func TestFirstTokensAreNotMeasured(t *testing.T) {
	base, file, err := auto.Load(hfio.Dir("../compat_test/testdata/goldens/decoder-llama/base"), &auto.Options{Task: models.CausalLM})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m := newModel(t, base, hfio.PromptTuning, nil)
	ids := []int{1, 7, 12, 5, 9}
	logits, out, err := m.Forward(models.Batch{Sequences: []models.Sequence{{IDs: ids}}})
	if err != nil {
		t.Fatal(err)
	}
	want, width := 0.0, base.Backbone.Shape().Vocab
	for i, id := range ids[1:] {
		scores, sum := models.Values(logits)[(out.Spans[0].Prompt+i)*width:][:width], 0.0
		for _, s := range scores {
			sum += math.Exp(float64(s))
		}
		want += (math.Log(sum) - float64(scores[id])) / float64(len(ids)-1)
	}
	e, err := train.Evaluate(context.Background(), m, []train.Feature{{IDs: ids, Reads: []int{-1, 0, 1, 2, 3}, Targets: ids}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Metrics["perplexity"]; math.Abs(e.Loss-want) > 1e-5 || math.Abs(math.Log(got)-want) > 1e-5 {
		t.Errorf("found the loss %v and the perplexity %v, want %v and %v", e.Loss, got, want, math.Exp(want))
	}
}
