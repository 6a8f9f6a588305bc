package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/models"
)

const (
	defaultBatch  = 32
	defaultEpochs = 3
)

// ErrConfig: settings that no run can have.
var ErrConfig = errors.New("wrong training settings")

// Config is how a run goes. The zero value is a run with the defaults of the comments.
// Where 0 stands for a default, a negative number means 0 where the comment says so.
type Config struct {
	Epochs       int     // 0: 3, unless MaxSteps is set
	MaxSteps     int     // optimiser steps; 0: all of the epochs
	BatchSize    int     // examples; 0: 32
	BatchTokens  int     // at most so many tokens in a batch, instead of BatchSize; 0: by examples
	Accumulate   int     // batches whose gradients one step takes, as if they were one; 0: 1
	LearningRate float64 // 0: that of Defaults
	Schedule     Schedule
	WarmupSteps  int     // 0: by WarmupRatio
	WarmupRatio  float64 // of all steps, rounded up; 0: 0.06; negative: no warm-up
	ClipNorm     float64 // 0: 1; negative: gradients are not clipped
	WeightDecay  float64
	Beta1, Beta2 float64 // 0: 0.9 and 0.999
	Epsilon      float64 // 0: 1e-8
	Seed         uint64  // of the order of the examples and of dropout
	NoDropout    bool    // train as in evaluation
	HeadOnly     bool    // leave the adapter as it began: with LORA that is the frozen base, papers' baseline
	// Checkpointing computes layers again in the backward pass instead of keeping what it
	// needs of them: less memory, a third of that of activations with twelve layers, in
	// about a third more time. The numbers are the same; a run may go on with or without it.
	// Not with LORA, which is trained inside of the layers.
	Checkpointing bool

	EvalSteps     int    // steps between evaluations; 0: after each epoch
	EvalBatchSize int    // 0: BatchSize
	Metric        string // that the best adapter has; "": DefaultMetric
	Patience      int    // evaluations without a better one after which to stop; 0: never stop

	// Dir is the adapter's directory; "": nothing is written. Files of an adapter that
	// is there are replaced.
	Dir       string
	SaveSteps int  // steps between checkpoints; 0: when the data are evaluated, or after each epoch
	Resume    bool // go on from the checkpoint in Dir; without one the error is ErrNoCheckpoint

	OnEvent func(Event) // called from Run's goroutine; nil: nobody listens
}

// Dataset is what a run learns from, and what it is measured on.
type Dataset struct {
	Train []Feature
	Dev   []Feature // nil: the last adapter is kept instead of the best
}

// DefaultMetric names the metric by which adapters are compared: the accuracy of
// classes, f1 of tokens, answers and (micro) of several labels, mse of a regression, the
// perplexity of a language model.
func DefaultMetric(m *models.Model) string {
	switch {
	case m.Task == models.TokenCls, m.Task == models.QuestionAns:
		return "f1"
	case IsWriting(m.Task):
		return "perplexity"
	case m.ProblemType == models.Regression:
		return "mse"
	case m.ProblemType == models.MultiLabel:
		return "f1_micro"
	}
	return "accuracy"
}

// Metrics names what [Evaluate] measures of a model, sorted, the loss included.
func Metrics(m *models.Model) []string {
	switch {
	case m.Task == models.TokenCls:
		return []string{"accuracy", "f1", "loss", "precision", "recall"}
	case m.Task == models.QuestionAns:
		return []string{"exact_match", "f1", "loss"}
	case IsWriting(m.Task):
		return []string{"accuracy", "loss", "perplexity"}
	case m.ProblemType == models.Regression:
		return []string{"loss", "mse", "pearson"}
	case m.ProblemType == models.MultiLabel:
		return []string{"accuracy", "f1_macro", "f1_micro", "loss"}
	case len(m.Labels) == 2:
		return []string{"accuracy", "f1", "f1_macro", "f1_micro", "loss", "mcc"}
	}
	return []string{"accuracy", "f1_macro", "f1_micro", "loss", "mcc"}
}

// Better tells whether a metric's value is better than another.
func Better(metric string, value, than float64) bool {
	if slices.Contains([]string{"loss", "mse", "perplexity"}, metric) {
		return value < than
	}
	return value > than
}

// filled returns the settings with the defaults in place of zeros.
func (c Config) filled(m subject) Config {
	recipe := m.recipe()
	if c.MaxSteps == 0 {
		c.Epochs = or(c.Epochs, defaultEpochs)
	}
	c.BatchSize = or(c.BatchSize, recipe.BatchSize)
	c.EvalBatchSize = or(c.EvalBatchSize, c.BatchSize)
	c.Accumulate = or(c.Accumulate, 1)
	c.LearningRate = or(c.LearningRate, recipe.LearningRate)
	c.Schedule = or(c.Schedule, recipe.Schedule)
	c.WarmupRatio = max(0, or(c.WarmupRatio, recipe.WarmupRatio))
	c.ClipNorm = max(0, or(c.ClipNorm, recipe.ClipNorm))
	c.Beta1, c.Beta2, c.Epsilon = or(c.Beta1, 0.9), or(c.Beta2, 0.999), or(c.Epsilon, 1e-8)
	c.Metric = or(c.Metric, DefaultMetric(m.base()))
	return c
}

func or[T comparable](value, def T) T {
	var zero T
	if value == zero {
		return def
	}
	return value
}

// check reports everything that is wrong with filled settings.
func (c Config) check(base *models.Model) error {
	var found []error
	note := func(bad bool, name string, value any, want string) {
		if bad {
			found = append(found, fmt.Errorf("%w: %s: found %v, want %s", ErrConfig, name, value, want))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"epochs", c.Epochs},
		{"max_steps", c.MaxSteps},
		{"batch_size", c.BatchSize},
		{"batch_tokens", c.BatchTokens},
		{"accumulate", c.Accumulate},
		{"warmup_steps", c.WarmupSteps},
		{"eval_steps", c.EvalSteps},
		{"eval_batch_size", c.EvalBatchSize},
		{"patience", c.Patience},
		{"save_steps", c.SaveSteps},
	} {
		note(n.value < 0, n.name, n.value, "0 or more")
	}
	note(!(c.LearningRate > 0) || math.IsInf(c.LearningRate, 0), "learning_rate", c.LearningRate, "more than 0")
	note(!(c.WarmupRatio <= 1), "warmup_ratio", c.WarmupRatio, "at most 1")
	note(!(c.Beta1 >= 0 && c.Beta1 < 1 && c.Beta2 >= 0 && c.Beta2 < 1), "betas", [2]float64{c.Beta1, c.Beta2}, "0 to below 1")
	note(!(c.ClipNorm >= 0), "clip_norm", c.ClipNorm, "a number")
	note(!(c.WeightDecay >= 0) || math.IsInf(c.WeightDecay, 0) || !(c.Epsilon >= 0), "weight_decay and epsilon", [2]float64{c.WeightDecay, c.Epsilon}, "0 or more")
	note(c.Schedule.check() != nil, "schedule", c.Schedule, "linear, cosine or constant")
	known := Metrics(base)
	note(!slices.Contains(known, c.Metric), "metric", c.Metric, strings.Join(known, ", "))
	note(c.Resume && c.Dir == "", "resume", "no directory", "the directory of the checkpoint")
	return errors.Join(found...)
}
