package adapters_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

func loraConfig(change func(*hfio.AdapterConfig)) hfio.AdapterConfig {
	config := hfio.NewAdapterConfig(hfio.Lora)
	config.TaskType = hfio.SeqCls
	change(&config)
	return config
}

// TestLoraTargets: which layers are named how is peft 0.21.2's rule, check_target_module_exists;
// that the numbers are PEFT's too show the goldens of compat_test.
func TestLoraTargets(t *testing.T) {
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	for _, test := range []struct {
		name   string
		change func(*hfio.AdapterConfig)
		want   []string // of lora_A, between the model's prefix and its end
	}{
		{"PEFT's for BERT", func(*hfio.AdapterConfig) {}, []string{
			"encoder.layer.0.attention.self.query", "encoder.layer.0.attention.self.value",
			"encoder.layer.1.attention.self.query", "encoder.layer.1.attention.self.value",
		}},
		{"the end of a path", func(c *hfio.AdapterConfig) { c.TargetModules = raw(`["attention.output.dense"]`) }, []string{
			"encoder.layer.0.attention.output.dense", "encoder.layer.1.attention.output.dense",
		}},
		{"whole names only", func(c *hfio.AdapterConfig) { c.TargetModules = raw(`["uery", "pooler.dense"]`) }, []string{"pooler.dense"}},
		{"a pattern for the whole path", func(c *hfio.AdapterConfig) { c.TargetModules = raw(`".*layer\\.1.*(key|value)"`) }, []string{
			"encoder.layer.1.attention.self.key", "encoder.layer.1.attention.self.value",
		}},
		{"without some", func(c *hfio.AdapterConfig) {
			c.TargetModules, c.ExcludeModules = raw(`["dense"]`), raw(`".*(layer|pooler)\\.(0|dense).*"`)
		}, []string{"encoder.layer.1.attention.output.dense", "encoder.layer.1.intermediate.dense", "encoder.layer.1.output.dense"}},
		{"one layer", func(c *hfio.AdapterConfig) { c.TargetModules, c.LayersToTransform = raw(`["key"]`), raw("1") }, []string{
			"encoder.layer.1.attention.self.key",
		}},
		{"a named pattern", func(c *hfio.AdapterConfig) {
			c.TargetModules, c.LayersToTransform, c.LayersPattern = raw(`["key"]`), raw("[0]"), raw(`["layer"]`)
		}, []string{"encoder.layer.0.attention.self.key"}},
		{"no layers are all", func(c *hfio.AdapterConfig) { c.TargetModules, c.LayersToTransform = raw(`["key"]`), raw("[]") }, []string{
			"encoder.layer.0.attention.self.key", "encoder.layer.1.attention.self.key",
		}},
		{"a whole path in every layer", func(c *hfio.AdapterConfig) {
			c.TargetModules, c.LayersToTransform = raw(`["bert.encoder.layer.0.attention.self.key", "value"]`), raw("1")
		}, []string{"encoder.layer.0.attention.self.key", "encoder.layer.1.attention.self.value"}},
		{"a pattern from the path's beginning", func(c *hfio.AdapterConfig) {
			c.TargetModules, c.LayersToTransform, c.LayersPattern = raw(`["key"]`), raw("1"), raw(`"bert.encoder.layer"`)
		}, []string{"encoder.layer.1.attention.self.key"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := create(t, openBase(t, models.SeqCls), loraConfig(test.change), adapters.Init{})
			var got []string
			for _, p := range m.Adapter.Trained() {
				if path, ok := strings.CutSuffix(strings.TrimPrefix(p.Name, "base_model.model.bert."), ".lora_A.weight"); ok {
					got = append(got, path)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// TestLoraRefuses what would be computed otherwise than PEFT does it.
func TestLoraRefuses(t *testing.T) {
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	for name, change := range map[string]func(*hfio.AdapterConfig){
		"modules_to_save: not the head": func(c *hfio.AdapterConfig) { c.ModulesToSave = []string{"pooler"} },
		"layers_to_transform: with a pattern": func(c *hfio.AdapterConfig) {
			c.TargetModules, c.LayersToTransform = raw(`".*key"`), raw("[]")
		},
		"layers_to_transform: with all-linear": func(c *hfio.AdapterConfig) {
			c.TargetModules, c.LayersToTransform = raw(`"all-linear"`), raw("1")
		},
		"layers_pattern: with a pattern":              func(c *hfio.AdapterConfig) { c.TargetModules, c.LayersPattern = raw(`".*key"`), raw(`""`) },
		"layers_pattern: without layers_to_transform": func(c *hfio.AdapterConfig) { c.LayersPattern = raw(`"layer"`) },
		"bias":                 func(c *hfio.AdapterConfig) { c.Bias = "some" },
		"lora_bias: with DoRA": func(c *hfio.AdapterConfig) { c.UseDora, c.LoraBias = true, true },
		"lora_alpha":           func(c *hfio.AdapterConfig) { c.LoraAlpha = math.NaN() },
		"lora_dropout":         func(c *hfio.AdapterConfig) { c.LoraDropout = 1 },
		"init_lora_weights":    func(c *hfio.AdapterConfig) { c.InitLoraWeights = raw(`"pissa"`) },
		"lora_bias":            func(c *hfio.AdapterConfig) { c.LoraBias, c.InitLoraWeights = true, raw(`"gaussian"`) },
		"target_modules":       func(c *hfio.AdapterConfig) { c.TargetModules = raw(`["q_proj"]`) },
		"exclude_modules":      func(c *hfio.AdapterConfig) { c.ExcludeModules = raw(`"(?=x)"`) },
		"layers_to_transform":  func(c *hfio.AdapterConfig) { c.LayersToTransform = raw(`"all"`) },
		"rank_pattern":         func(c *hfio.AdapterConfig) { c.RankPattern = raw(`{"query": "2"}`) },
		"r":                    func(c *hfio.AdapterConfig) { c.R = 0 },
		"r: without end":       func(c *hfio.AdapterConfig) { c.R = 1 << 20 },
		"r: of a sorted name":  func(c *hfio.AdapterConfig) { c.RankPattern = raw(`{"query": 2, "0.attention.self.query": 1048576}`) },
	} {
		t.Run(name, func(t *testing.T) {
			field, _, _ := strings.Cut(name, ":")
			_, err := adapters.New(openBase(t, models.SeqCls), loraConfig(change), adapters.Init{Rand: rand.New(rand.NewPCG(1, 2))})
			var wrong *hfio.FieldError
			if !errors.Is(err, adapters.ErrConfig) || !errors.As(err, &wrong) || wrong.Field != field {
				t.Errorf("found %v, want an error of the field %s", err, field)
			}
		})
	}
}

// TestDoraStarts: magnitudes begin as the lengths of the weight's rows, so that a new adapter answers as
// one without them.
func TestDoraStarts(t *testing.T) {
	base := openBase(t, models.SeqCls)
	var answers [][]float32
	for _, dora := range []bool{false, true} {
		m := create(t, base, loraConfig(func(c *hfio.AdapterConfig) { c.UseDora, c.InitLoraWeights = dora, json.RawMessage("false") }),
			adapters.Init{Rand: rand.New(rand.NewPCG(1, 2))})
		logits, _, err := m.Forward(models.Batch{Sequences: []models.Sequence{{IDs: []int{1, 2, 3}}}})
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, models.Values(logits))
	}
	numtest.Close(t, answers[1], answers[0], 1e-6, 1e-6)
}

// TestLoraPatternOrder: of the patterns that match a module the file's first counts, as in
// peft 0.21.2's get_pattern_key.
func TestLoraPatternOrder(t *testing.T) {
	base := openBase(t, models.SeqCls)
	m := create(t, base, loraConfig(func(c *hfio.AdapterConfig) { c.TargetModules = json.RawMessage(`["key"]`) }), adapters.Init{})
	for pattern, want := range map[string]float32{`{"self.key": 3, "key": 9}`: 3. / 8, `{"key": 9, "self.key": 3}`: 9. / 8, `{"layer.9.*": 9}`: 1} {
		file, err := m.File()
		if err != nil {
			t.Fatal(err)
		}
		file.Config.AlphaPattern = json.RawMessage(pattern)
		loaded, err := adapters.FromFile(file, base)
		if err != nil {
			t.Fatal(err)
		}
		prompt, err := loaded.Adapter.Prompt(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, delta := range prompt.Deltas {
			if delta.Scale != want {
				t.Errorf("%s: %s has the scale %v, want %v", pattern, name, delta.Scale, want)
			}
		}
	}
}

// TestLoraMisfits: every tensor that is missing, of another shape or too many is named.
func TestLoraMisfits(t *testing.T) {
	base := openBase(t, models.SeqCls)
	file, err := create(t, base, loraConfig(func(*hfio.AdapterConfig) {}), adapters.Init{}).File()
	if err != nil {
		t.Fatal(err)
	}
	const layer = "base_model.model.bert.encoder.layer.0.attention.self."
	without(file, layer+"query.lora_A.weight")
	with(file, zeros(layer+"value.lora_B.weight", 3, 3))
	with(file, zeros(layer+"key.lora_A.weight", 8, 16))
	_, err = adapters.FromFile(file, base)
	for _, want := range []string{"query.lora_A.weight", "value.lora_B.weight is [3 3]", "key.lora_A.weight"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

// Mixed: sequences with and without LoRA in one batch answer as they do alone.
func TestLoraMixed(t *testing.T) {
	base := openBase(t, models.SeqCls)
	shared := create(t, base, loraConfig(func(c *hfio.AdapterConfig) {
		c.TargetModules, c.InitLoraWeights = json.RawMessage(`"all-linear"`), json.RawMessage("false")
	}), adapters.Init{})
	other := create(t, base, loraConfig(func(c *hfio.AdapterConfig) { c.InitLoraWeights = json.RawMessage("false") }), adapters.Init{})
	biased := create(t, base, loraConfig(func(c *hfio.AdapterConfig) { c.Bias, c.LoraBias = "all", true }), adapters.Init{})
	dora := create(t, base, loraConfig(func(c *hfio.AdapterConfig) {
		c.Bias, c.UseDora, c.InitLoraWeights = "lora_only", true, json.RawMessage("false")
	}), adapters.Init{})
	for _, p := range append(biased.Adapter.Trained(), dora.Adapter.Trained()...) {
		values := models.Values(p.Param)
		for i := range values {
			values[i] += 0.1
		}
	}
	prompt := create(t, base, variants["prompt"](3, 0), adapters.Init{})
	var frozen []*adapters.Frozen
	for _, m := range []*adapters.PeftModel{shared, other, prompt, biased, dora} {
		f, err := m.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		frozen = append(frozen, f)
	}
	var requests []adapters.Request
	for i, ids := range [][]int{{1, 2, 3}, {4, 5}, {6}, {7, 8, 9, 10}, {3, 1}, {2, 2, 2}, {5, 8}, {4, 4, 9}, {7}, {1, 1, 6}} {
		requests = append(requests, adapters.Request{Sequence: models.Sequence{IDs: ids}, Adapter: frozen[i%5]})
	}
	answers, err := adapters.ForwardMixed(base, requests)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		for i, r := range a.Requests {
			alone, _, err := a.Adapter.Forward(models.Batch{Sequences: []models.Sequence{requests[r].Sequence}})
			if err != nil {
				t.Fatal(err)
			}
			want := models.Values(alone)
			got := models.Values(a.Logits)[i*len(want):][:len(want)]
			for j := range want {
				if d := got[j] - want[j]; d > 1e-6 || d < -1e-6 {
					t.Errorf("request %d: found %v, alone %v", r, got, want)
				}
			}
		}
	}
}
