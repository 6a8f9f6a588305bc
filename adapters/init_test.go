package adapters_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

// variants are the configs of testdata/make_goldens.py with another number of
// virtual tokens and another hidden size; 0 leaves PEFT's default.
var variants = map[string]func(tokens, hidden int) hfio.AdapterConfig{
	"prompt": func(tokens, _ int) hfio.AdapterConfig { return config(hfio.PromptTuning, tokens, 0) },
	"ptuning-mlp": func(tokens, hidden int) hfio.AdapterConfig {
		return config(hfio.PTuning, tokens, hidden)
	},
	"ptuning-lstm": func(tokens, hidden int) hfio.AdapterConfig {
		c := config(hfio.PTuning, tokens, hidden)
		c.EncoderReparameterizationType, c.EncoderNumLayers = "LSTM", 2
		return c
	},
	"prefix": func(tokens, _ int) hfio.AdapterConfig { return config(hfio.PrefixTuning, tokens, 0) },
	"prefix-projection": func(tokens, hidden int) hfio.AdapterConfig {
		c := config(hfio.PrefixTuning, tokens, hidden)
		c.PrefixProjection = true
		return c
	},
	"cartridge": func(tokens, _ int) hfio.AdapterConfig { return config(hfio.Cartridge, tokens, 0) },
	"multitask": func(tokens, _ int) hfio.AdapterConfig {
		c := config(hfio.MultitaskPromptTuning, tokens, 0)
		c.NumTasks, c.NumRanks = 2, 2
		return c
	},
}

// takes tells whether PEFT runs a variant in a task.
func takes(variant string, task models.Task) bool {
	return variant != "multitask" || task == models.SeqCls || task == models.TokenCls
}

func config(method hfio.PeftType, tokens, hidden int) hfio.AdapterConfig {
	c := hfio.NewAdapterConfig(method)
	c.TaskType, c.BaseModelNameOrPath = hfio.SeqCls, "base"
	c.NumVirtualTokens, c.EncoderHiddenSize = tokens, hidden
	return c
}

func create(t testing.TB, base *models.Model, c hfio.AdapterConfig, init adapters.Init) *adapters.PeftModel {
	t.Helper()
	if init.Rand == nil {
		init.Rand = rand.New(rand.NewPCG(11, 12))
	}
	m, err := adapters.New(base, c, init)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNewConfigEqualsPEFT compares the config of a new adapter with the file that
// PEFT writes for the same settings.
func TestNewConfigEqualsPEFT(t *testing.T) {
	hidden := map[string]int{"ptuning-mlp": 6, "ptuning-lstm": 5, "prefix-projection": 7}
	tests := map[string]hfio.AdapterConfig{}
	for name, make := range variants {
		for suffix, task := range tasks {
			if suffix == "null" || !takes(name, task) {
				continue
			}
			c := make(3, hidden[name])
			c.TaskType = hfio.TaskType(task)
			tests[name+"-"+suffix] = c
		}
	}
	zero := variants["prefix"](2, 0)
	zero.InitWeights = "zero"
	sampled := variants["prompt"](2, 0)
	sampled.PromptTuningInit, sampled.TaskType = "SAMPLE_VOCAB", hfio.TokenCls
	tests["prefix-zero"], tests["prompt-sampled"] = zero, sampled
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata", name, hfio.AdapterConfigFile))
			if err != nil {
				t.Fatal(err)
			}
			m := create(t, openBase(t, models.Task(c.TaskType)), c, adapters.Init{})
			if got, err := m.Config.Encode(); err != nil || string(got) != string(want) {
				t.Errorf("config is (%v)\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}

func TestTextInitEqualsPEFT(t *testing.T) {
	expected := openTensors(t, "expected.safetensors")
	for _, name := range []string{"text-tiled", "text-cut"} {
		t.Run(name, func(t *testing.T) {
			base := openBase(t, models.FeatureExtraction)
			stored := loadGolden(t, name, base)
			tensor, _ := expected.Tensor(name + ".ids")
			m := create(t, base, stored.Config, adapters.Init{TextIDs: int64s(tensor)})
			got, _ := m.Adapter.Stored()
			want, _ := stored.Adapter.Stored()
			if string(got[0].Data) != string(want[0].Data) {
				t.Error("the prompt differs from PEFT's")
			}
		})
	}
}

func int64s(t hfio.Tensor) []int {
	var values []int
	for i := 0; i < len(t.Data); i += 8 {
		values = append(values, int(t.Data[i])) // the ids are below 40
	}
	return values
}

// wide stands in for the base of the script's make_init_stats: only its sizes count.
type wide struct {
	nn.Module
	rows []float32 // word embeddings [40, 48]
}

func (w *wide) Shape() models.Shape {
	return models.Shape{
		ModelType: "wide", Layers: 3, Hidden: 48, Embedding: 48, Heads: 2, KVHeads: 2, HeadDim: 24,
		Vocab: 40, MaxPositions: 5000, TypeVocab: 2,
	}
}

func (w *wide) Embed(ids []int) (mat.Tensor, error) {
	return kernel.Embed(nil, kernel.Lookup{Table: kernel.Values{Float32: w.rows}, Width: 48, Index: ids}), nil
}

func (w *wide) Forward(models.Batch) (models.Output, error) { return models.Output{}, nil }

func wideBase() *models.Model {
	w := &wide{rows: make([]float32, 40*48)}
	for i := range w.rows {
		w.rows[i] = float32(i)
	}
	return &models.Model{Task: models.SeqCls, Backbone: w}
}

type initStats struct {
	Name      string
	Shape     []int
	Mean      float64
	Deviation float64
	Largest   float64
	Quantiles []float64 // at 5, 25, 50, 75 and 95 %
}

// TestInitDistributionsEqualPEFT compares moments and quantiles of our start values
// with those of PEFT's own. Both are samples of n values: their means differ by
// σ·√(2/n) in the standard deviation, a quantile q by at most 2.2 times that at
// 5 and 95 % of a normal (√(q(1-q))/φ), less for a uniform. Six times that is passed by
// chance once in 10^9 draws, and the seeds are fixed.
func TestInitDistributionsEqualPEFT(t *testing.T) {
	data, err := os.ReadFile("testdata/init_stats.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string][]initStats
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	hidden := map[string]int{"ptuning-mlp": 64, "ptuning-lstm": 32, "prefix-projection": 64}
	for name, stats := range all {
		t.Run(name, func(t *testing.T) {
			m := create(t, wideBase(), variants[name](200, hidden[name]), adapters.Init{})
			params := m.Adapter.Trained()
			if len(params) != len(stats) {
				t.Fatalf("%d parameters, want %d", len(params), len(stats))
			}
			for _, want := range stats {
				i := slices.IndexFunc(params, func(p models.NamedParam) bool { return p.Name == want.Name })
				if i < 0 {
					t.Errorf("no parameter %s", want.Name)
					continue
				}
				compareStats(t, want, kernel.Data(params[i].Param))
			}
		})
	}
}

func compareStats(t *testing.T, want initStats, values []float32) {
	t.Helper()
	size := 1
	for _, d := range want.Shape {
		size *= d
	}
	if len(values) != size {
		t.Errorf("%s has %d values, want %v", want.Name, len(values), want.Shape)
		return
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	var mean, square float64
	for _, v := range values {
		mean += float64(v) / float64(size)
		square += float64(v) * float64(v) / float64(size)
	}
	bound := 6 * want.Deviation * math.Sqrt(2/float64(size))
	check := func(what string, got, want, bound float64) {
		if math.Abs(got-want) > bound {
			t.Errorf("%s: %s is %.4g, want %.4g ± %.2g", what, what, got, want, bound)
		}
	}
	check(want.Name+" mean", mean, want.Mean, bound)
	check(want.Name+" deviation", math.Sqrt(square-mean*mean), want.Deviation, bound)
	for i, q := range []float64{0.05, 0.25, 0.5, 0.75, 0.95} {
		check(want.Name+" quantile", float64(sorted[int(q*float64(size-1))]), want.Quantiles[i], 2.2*bound)
	}
	// U(±b) never passes b = σ√3; N(0, 1) does.
	uniform := want.Largest < want.Deviation*2.2
	largest := max(math.Abs(float64(sorted[0])), math.Abs(float64(sorted[size-1])))
	if uniform && size > 1000 && largest > want.Largest*1.01 {
		t.Errorf("%s: largest is %.4g, want at most %.4g", want.Name, largest, want.Largest)
	}
}

// TestSampledVocabulary: every row is a word embedding, and all ids come equally
// often (χ² of 40 classes stays below 80 in all but one of 7000 runs).
func TestSampledVocabulary(t *testing.T) {
	c := variants["prompt"](4000, 0)
	c.PromptTuningInit = "SAMPLE_VOCAB"
	m := create(t, wideBase(), c, adapters.Init{})
	tensor, _ := m.Adapter.Stored()
	rows, _ := tensor[0].Float32s()
	counts := make([]float64, 40)
	for i := 0; i < len(rows); i += 48 {
		id := int(rows[i]) / 48
		if id < 0 || id >= 40 || rows[i+47] != float32(id*48+47) {
			t.Fatalf("row %d is no word embedding", i/48)
		}
		counts[id]++
	}
	var chi float64
	for _, n := range counts {
		chi += (n - 100) * (n - 100) / 100
	}
	if chi > 80 {
		t.Errorf("χ² of the ids is %.1f, want below 80", chi)
	}
}

func TestZeroPrefix(t *testing.T) {
	for _, name := range []string{"prefix", "prefix-projection"} {
		c := variants[name](3, 0)
		c.InitWeights = "zero"
		m := create(t, openBase(t, models.SeqCls), c, adapters.Init{})
		tensor, _ := m.Adapter.Stored()
		values, _ := tensor[0].Float32s()
		numtest.SameBits(t, values, make([]float32, 3*2*2*16))
	}
}
