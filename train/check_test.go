package train_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/train"
)

// What does not fit a model is found before the first step and before the first
// measurement, and is no panic.
func TestFeaturesThatDoNotFit(t *testing.T) {
	ids := []int{2, 6, 3}
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		task    models.Task
		feature train.Feature
		want    string // "": it can be learnt from, but not measured
	}{
		"class too large":  {models.SeqCls, train.Feature{IDs: ids, Class: 3}, "found class 3, want 0 to 2"},
		"class ignored":    {models.SeqCls, train.Feature{IDs: ids, Class: models.Ignored}, "found class -100, want 0 to 2"},
		"values, no class": {models.SeqCls, train.Feature{IDs: ids, Values: []float32{1, 0, 1}}, "found 3 values, want 0"},
		"no tags":          {models.TokenCls, train.Feature{IDs: ids}, "found 0 tags, want 3"},
		"tag too large":    {models.TokenCls, train.Feature{IDs: ids, Tags: []int{0, 3, 0}}, "found tag 3, want 0 to 2, or -100 for none"},
		"negative tag":     {models.TokenCls, train.Feature{IDs: ids, Tags: []int{0, -1, 0}}, "found tag -1"},
		"answer behind":    {models.QuestionAns, train.Feature{IDs: ids, Start: 1, End: 3}, "found an answer from token 1 to 3, want it among 3"},
		"answer backwards": {models.QuestionAns, train.Feature{IDs: ids, Start: 2, End: 1}, "found an answer from token 2 to 1"},
		"no context":       {models.QuestionAns, train.Feature{IDs: ids}, ""},
		"no offsets":       {models.QuestionAns, train.Feature{IDs: ids, Context: &train.Context{Text: "a"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			good := train.Feature{IDs: ids}
			switch c.task {
			case models.TokenCls:
				good.Tags = []int{models.Ignored, 1, models.Ignored}
			case models.QuestionAns:
				good = toyAnswers(1)[0]
			}
			m := newModel(t, openBase(t, c.task, "O", "B-X", "I-X"), hfio.PromptTuning, nil)
			features := []train.Feature{good, c.feature}
			_, err := train.Evaluate(context.Background(), m, features, 0)
			if !errors.Is(err, train.ErrExample) || !strings.Contains(err.Error(), "number 2 of the evaluation examples: "+c.want) {
				t.Errorf("evaluation: found %v, want %q", err, c.want)
			}
			_, err = train.Run(context.Background(), m, train.Dataset{Train: features}, train.Config{Epochs: 1})
			if c.want == "" {
				if err != nil {
					t.Errorf("training: found %v, want it to do without a context", err)
				}
			} else if !errors.Is(err, train.ErrExample) || !strings.Contains(err.Error(), "number 2 of the training examples: "+c.want) {
				t.Errorf("training: found %v, want %q", err, c.want)
			}
		})
	}
	base := openBase(t, models.SeqCls, "score")
	base.ProblemType = models.Regression
	m := newModel(t, base, hfio.PromptTuning, nil)
	data := train.Dataset{Train: []train.Feature{{IDs: ids, Values: []float32{nan}}}}
	if _, err := train.Run(context.Background(), m, data, train.Config{}); !errors.Is(err, train.ErrExample) {
		t.Errorf("found %v, want ErrExample: NaN cannot be learnt", err)
	}
}

// A loss of nothing is no number, as torch's mean over no token: nothing is learnt from it, or measured by it.
func TestNothingCounts(t *testing.T) {
	base, file, err := auto.Load(hfio.Dir("../compat_test/testdata/goldens/decoder-llama/base"), &auto.Options{Task: models.CausalLM})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	writer := newModel(t, base, hfio.PromptTuning, nil)
	tagger := newModel(t, openBase(t, models.TokenCls, "O", "B-X"), hfio.PromptTuning, nil)
	ids := []int{2, 6, 3}
	first := train.Feature{IDs: ids, Reads: []int{-1}, Targets: ids[:1]}
	for name, c := range map[string]struct {
		m       *adapters.PeftModel
		feature train.Feature
		learnt  bool
		want    string
	}{
		"cut":        {writer, train.Feature{IDs: ids, Reads: []int{}}, false, "hold no token to learn"},
		"first only": {writer, first, true, "hold no token to learn"},
		"no tags":    {tagger, train.Feature{IDs: ids, Tags: []int{models.Ignored, models.Ignored, models.Ignored}}, false, "hold no tag"},
	} {
		t.Run(name, func(t *testing.T) {
			features := []train.Feature{c.feature, c.feature}
			if _, err := train.Evaluate(context.Background(), c.m, features, 0); !errors.Is(err, train.ErrExample) || !strings.Contains(err.Error(), "the evaluation examples "+c.want) {
				t.Errorf("evaluation: found %v, want %q", err, c.want)
			}
			_, err := train.Run(context.Background(), c.m, train.Dataset{Train: features}, train.Config{Epochs: 1})
			if c.learnt {
				if err != nil {
					t.Errorf("training: found %v, want it to learn the first token", err)
				}
			} else if !errors.Is(err, train.ErrExample) || !strings.Contains(err.Error(), "the training examples "+c.want) {
				t.Errorf("training: found %v, want %q", err, c.want)
			}
		})
	}
}

// TestTooLong wants the line of what is too long.
func TestTooLong(t *testing.T) {
	m := newModel(t, openBase(t, models.SeqCls, "a", "b"), hfio.PromptTuning, nil)
	data := train.Dataset{Train: []train.Feature{{IDs: []int{2, 3}, Line: 2}, {IDs: make([]int, m.Base.Backbone.Shape().MaxPositions), Line: 7}}}
	_, err := train.Run(context.Background(), m, data, train.Config{})
	if !errors.Is(err, models.ErrTooLong) || !strings.Contains(err.Error(), "line 7 of the training data, has ") {
		t.Errorf("found %v, want ErrTooLong with line 7", err)
	}
}
