package train_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/train"
)

// openBase opens the tiny random BERT of the adapters' goldens.
func openBase(t testing.TB, task models.Task, labels ...string) *models.Model {
	t.Helper()
	o := &auto.Options{Task: task, Labels: labels, Rand: rand.New(rand.NewPCG(1, 2))}
	base, file, err := auto.Load(hfio.Dir("../adapters/testdata/base"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return base
}

func newModel(t testing.TB, base *models.Model, method hfio.PeftType, change func(*hfio.AdapterConfig)) *adapters.PeftModel {
	t.Helper()
	c := hfio.NewAdapterConfig(method)
	c.TaskType, c.BaseModelNameOrPath, c.NumVirtualTokens = hfio.TaskType(base.Task), "base", 4
	if change != nil {
		change(&c)
	}
	m, err := adapters.New(base, c, adapters.Init{Rand: rand.New(rand.NewPCG(3, 4))})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// toy returns sequences whose class is told by one token among others.
func toy(n int, seed uint64) []train.Feature {
	random := rand.New(rand.NewPCG(seed, 0))
	features := make([]train.Feature, n)
	for i := range features {
		class := random.IntN(2)
		ids := []int{2}
		for range 2 + random.IntN(6) {
			ids = append(ids, 10+random.IntN(20))
		}
		ids[1+random.IntN(len(ids)-1)] = 5 + class
		features[i] = train.Feature{IDs: append(ids, 3), Class: class}
	}
	return features
}

var methods = map[string]struct {
	method hfio.PeftType
	change func(*hfio.AdapterConfig)
}{
	"prompt tuning": {hfio.PromptTuning, nil},
	"p-tuning":      {hfio.PTuning, func(c *hfio.AdapterConfig) { c.EncoderHiddenSize = 12 }},
	"p-tuning lstm": {hfio.PTuning, func(c *hfio.AdapterConfig) {
		c.EncoderHiddenSize, c.EncoderReparameterizationType, c.EncoderNumLayers, c.EncoderDropout = 12, "LSTM", 2, 0.2
	}},
	"prefix tuning": {hfio.PrefixTuning, nil},
	"projected prefix": {hfio.PrefixTuning, func(c *hfio.AdapterConfig) {
		c.PrefixProjection, c.EncoderHiddenSize = true, 12
	}},
	"cartridge": {hfio.Cartridge, nil},
	"multitask": {hfio.MultitaskPromptTuning, func(c *hfio.AdapterConfig) { c.NumTasks, c.NumRanks = 2, 2 }},
}

func TestLearns(t *testing.T) {
	for name, c := range methods {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, openBase(t, models.SeqCls, "a", "b"), c.method, c.change)
			data := train.Dataset{Train: toy(48, 1), Dev: toy(48, 1)}
			s, err := train.Run(context.Background(), m, data, train.Config{
				Epochs: 60, BatchSize: 16, LearningRate: 0.03, NoDropout: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if s.Best < 0.95 {
				t.Errorf("accuracy %v on the examples it learnt, want 0.95", s.Best)
			}
			e, err := train.Evaluate(context.Background(), m, data.Dev, 7)
			if err != nil {
				t.Fatal(err)
			}
			if e.Metrics["accuracy"] != s.Best {
				t.Errorf("the model left has accuracy %v, want the best, %v", e.Metrics["accuracy"], s.Best)
			}
		})
	}
}

var short = train.Config{
	Epochs: 3, BatchSize: 5, Accumulate: 2, LearningRate: 0.05, Seed: 7,
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(data)
	}
	return found
}

func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	g, w := files(t, got), files(t, want)
	for name := range w {
		if g[name] != w[name] {
			t.Errorf("%s differs", name)
		}
	}
	if len(g) != len(w) {
		t.Errorf("found %d files, want %d", len(g), len(w))
	}
}

// Several small batches of one step are as one large batch, up to rounding.
func TestAccumulationIsALargeBatch(t *testing.T) {
	data := train.Dataset{Train: toy(20, 1)}
	base := openBase(t, models.SeqCls, "a", "b")
	var losses [2][]float64
	for i, cfg := range []train.Config{{BatchSize: 20}, {BatchSize: 6, Accumulate: 4}} {
		cfg.Epochs, cfg.NoDropout = 4, true
		cfg.OnEvent = func(e train.Event) {
			if e.Kind == train.StepEvent {
				losses[i] = append(losses[i], e.Loss)
			}
		}
		if _, err := train.Run(context.Background(), newModel(t, base, hfio.PrefixTuning, nil), data, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if len(losses[0]) != 4 || len(losses[1]) != 4 {
		t.Fatalf("found %v", losses)
	}
	for i, want := range losses[0] {
		if d := losses[1][i] - want; d > 1e-5 || d < -1e-5 {
			t.Errorf("step %d: loss %v, want %v", i, losses[1][i], want)
		}
	}
}

func TestEarlyStopping(t *testing.T) {
	m := newModel(t, openBase(t, models.SeqCls, "a", "b"), hfio.PromptTuning, nil)
	cfg := train.Config{Epochs: 50, BatchSize: 8, LearningRate: 1e-9, Patience: 2}
	var evals []bool
	cfg.OnEvent = func(e train.Event) {
		if e.Kind == train.EvalEvent {
			evals = append(evals, e.Best)
		}
	}
	s, err := train.Run(context.Background(), m, train.Dataset{Train: toy(16, 1), Dev: toy(16, 2)}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Stopped || s.Steps != 6 || !slices.Equal(evals, []bool{true, false, false}) {
		t.Errorf("found %+v and evaluations %v, want a stop after three epochs of two steps", s, evals)
	}
}

func TestMistakenSettings(t *testing.T) {
	m := newModel(t, openBase(t, models.SeqCls, "a", "b"), hfio.PromptTuning, nil)
	_, err := train.Run(context.Background(), m, train.Dataset{}, train.Config{BatchSize: -1, LearningRate: -2, WeightDecay: math.Inf(1), Schedule: "up", Metric: "bleu"})
	if !errors.Is(err, train.ErrConfig) {
		t.Fatalf("found %v, want ErrConfig", err)
	}
	for _, want := range []string{"batch_size", "learning_rate", "weight_decay", "schedule", "want accuracy, f1, f1_macro", "no training examples"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q says nothing of %s", err, want)
		}
	}
	long := train.Feature{IDs: make([]int, 30)}
	if _, err := train.Run(context.Background(), m, train.Dataset{Train: []train.Feature{long}}, train.Config{}); !errors.Is(err, models.ErrTooLong) {
		t.Errorf("found %v, want ErrTooLong: 30 tokens and 4 virtual ones in 32 places", err)
	}
}
