package adapters_test

import (
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
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

// causal is where PEFT's adapters of causal language models are; compat_test/oracle/hfio_fixtures.py makes them.
const causal = "../hfio/testdata/adapters"

func openCausal(t testing.TB, name string) *hfio.Adapter {
	t.Helper()
	file, err := hfio.OpenAdapter(hfio.Dir(filepath.Join(causal, name)), &hfio.OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// causalBase is a backbone as wide as PEFT's GPT-2 in the task of a causal language model: enough for what happens before it
// is computed.
func causalBase(t testing.TB) *models.Model {
	t.Helper()
	base := openBase(t, models.SeqCls).Backbone
	shape := base.Shape()
	shape.Hidden, shape.Embedding, shape.HeadDim = 8, 8, 4
	return &models.Model{Task: models.Task(hfio.CausalLM), Backbone: resized{base, shape}}
}

// resized is a backbone that says other sizes.
type resized struct {
	models.Backbone
	shape models.Shape
}

func (b resized) Shape() models.Shape { return b.shape }

// TestCausalAdaptersOfPEFT: nothing is wrong with what PEFT writes for causal language models, and saved again it is the same.
func TestCausalAdaptersOfPEFT(t *testing.T) {
	for _, name := range []string{"cpt_gpt2", "multitask_gpt2", "cartridge_gpt2", "prompt_gpt2_causal"} {
		t.Run(name, func(t *testing.T) {
			file := openCausal(t, name)
			base := causalBase(t)
			shape := base.Backbone.Shape()
			for _, s := range []*models.Shape{nil, &shape} {
				if found := adapters.Validate(file, s); len(found) > 0 {
					t.Errorf("Validate() = %v", found)
				}
			}
			m, err := adapters.FromFile(file, base)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := adapters.Save(dir, m); err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{hfio.AdapterConfigFile, hfio.AdapterWeightsFile, hfio.ReadmeFile} {
				want, wantErr := os.ReadFile(filepath.Join(causal, name, part))
				got, gotErr := os.ReadFile(filepath.Join(dir, part))
				if wantErr != nil || gotErr != nil || string(got) != string(want) {
					t.Errorf("%s differs (%v, %v)", part, gotErr, wantErr)
				}
			}
			_, err = adapters.FromFile(file, openBase(t, models.SeqCls))
			if !errors.Is(err, adapters.ErrMismatch) || !strings.Contains(err.Error(), "task_type is CAUSAL_LM in the adapter, SEQ_CLS in the base") {
				t.Errorf("on a base of another task the error is %v", err)
			}
		})
	}
}

// TestCPTIsItsRows: PEFT's encoder gives the stored rows as they are, and training goes on from them.
func TestCPTIsItsRows(t *testing.T) {
	file := openCausal(t, "cpt_gpt2")
	m, err := adapters.FromFile(file, causalBase(t))
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := m.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	stored, _ := file.Tensor("prompt_embeddings")
	want, err := stored.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	numtest.SameBits(t, kernel.Data(frozen.Prompt(0).Input), want)
	if trained := m.Trained(); !m.Adapter.Continuable() || len(trained) != 1 || trained[0].Name != "prompt_encoder.delta_embedding.weight" {
		t.Errorf("it trains %v", trained)
	}
}

// TestCPTContext: the labels of later examples count more where the loss decays, nothing predicts the
// first token, and only the rows of labels stay the words that they are.
func TestCPTContext(t *testing.T) {
	a := newCPT(t, func(c *hfio.AdapterConfig) {
		c.CPTTokenIDs, c.CPTTokensTypeMask = []int{1, 2, 3, 2, 1, 3}, []int{4, 3, 4, 6, 8, 8}
		c.OptWeightedLossType, c.OptLossDecayFactor = "decay", 0.5
	})
	context := a.Adapter.(adapters.Contextual).Context()
	if want := []int{-100, -100, 3, -100, 1, 3}; !slices.Equal(context.Labels, want) {
		t.Errorf("labels %v, want %v", context.Labels, want)
	}
	if want := []float32{1, 1, 0.25, 1, 0.5, 0.5}; !slices.Equal(context.Weights, want) {
		t.Errorf("weights %v, want %v", context.Weights, want)
	}
}

// TestCPTProjection: what is added to a word is no longer than the epsilon of its kind, scaled to the width.
func TestCPTProjection(t *testing.T) {
	m := newCPT(t, func(c *hfio.AdapterConfig) {
		c.CPTTokenIDs, c.CPTTokensTypeMask = []int{1, 2, 3, 2}, []int{1, 2, 3, 4}
		c.OptProjectionEpsilon, c.OptProjectionFormatEpsilon = 0.5, 0.25
	})
	delta := m.Trained()[0].Param
	for i := range kernel.Data(delta) {
		kernel.Data(delta)[i] = 3
	}
	m.Adapter.(adapters.Projected).Project()
	root := math.Sqrt(float64(kernel.Cols(delta)) / 2048)
	for i, want := range []float64{0.25 * root, 0.5 * root, 0.25 * root, 1e-10} {
		sum := 0.0
		for _, v := range kernel.Data(delta)[i*kernel.Cols(delta):][:kernel.Cols(delta)] {
			sum += float64(v) * float64(v)
		}
		if norm := math.Sqrt(sum); math.Abs(norm-want) > 1e-6*want {
			t.Errorf("row %d has the norm %v, want %v", i, norm, want)
		}
	}
}

// TestCPTGoesOn: with the side file training goes on around the same words, in a run too.
func TestCPTGoesOn(t *testing.T) {
	m := newCPT(t, func(c *hfio.AdapterConfig) { c.CPTTokenIDs, c.CPTTokensTypeMask = []int{1, 2}, []int{2, 4} })
	delta := kernel.Data(m.Trained()[0].Param)
	delta[0] = 1e-3
	file, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	again, err := adapters.FromFile(file, m.Base)
	if err != nil {
		t.Fatal(err)
	}
	values := hfio.NewFloat32("prompt_encoder.delta_embedding.weight", []int{2, len(delta) / 2}, slices.Repeat([]float32{1e-4}, len(delta)))
	resumed, err := adapters.Resume(file, m.Base, []hfio.Tensor{values})
	if err != nil {
		t.Fatal(err)
	}
	clear(delta)
	words, err := m.Adapter.Prompt(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*adapters.PeftModel{"loaded": again, "resumed": resumed} {
		first := kernel.Data(other.Trained()[0].Param)[0]
		clear(kernel.Data(other.Trained()[0].Param))
		prompt, err := other.Adapter.Prompt(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]float32{"loaded": 1e-3, "resumed": 1e-4}[name]; first != want {
			t.Errorf("%s: the delta is %v, want %v", name, first, want)
		}
		numtest.SameBits(t, kernel.Data(prompt.Input), kernel.Data(words.Input))
	}
}

// newCPT makes a new adapter on a base of another task, which is enough for what happens before it is computed.
func newCPT(t *testing.T, set func(*hfio.AdapterConfig)) *adapters.PeftModel {
	t.Helper()
	config := hfio.NewAdapterConfig(hfio.CPT)
	config.TaskType = hfio.CausalLM
	set(&config)
	base := openBase(t, models.SeqCls).Backbone
	m, err := adapters.New(&models.Model{Task: models.CausalLM, Backbone: base}, config, adapters.Init{Rand: rand.New(rand.NewPCG(1, 2))})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNewCPT reports a context in which PEFT would learn nothing, and numbers that are none.
func TestNewCPT(t *testing.T) {
	file := openCausal(t, "cpt_gpt2")
	file.Config.CPTTokensTypeMask, file.Config.OptWeightedLossType = []int{1, 2}, "square"
	file.Config.OptLossDecayFactor, file.Config.OptProjectionEpsilon, file.Config.OptProjectionFormatEpsilon = math.Inf(1), math.NaN(), -1
	_, err := adapters.New(causalBase(t), file.Config, adapters.Init{Rand: rand.New(rand.NewPCG(1, 2))})
	for _, want := range []string{
		"from 1 to 2, want no negative one, and the highest a multiple of 4", `"square", want none or decay`,
		`opt_loss_decay_factor": wrong adapter config: +Inf`, `opt_projection_epsilon": wrong adapter config: NaN`, `opt_projection_format_epsilon": wrong adapter config: -1`,
	} {
		if !errors.Is(err, adapters.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("New gives %v, want %q", err, want)
		}
	}
}

func TestValidateCPT(t *testing.T) {
	for field, change := range map[string]func(*hfio.AdapterConfig){
		"task_type":              func(c *hfio.AdapterConfig) { c.TaskType = hfio.SeqCls },
		"num_virtual_tokens":     func(c *hfio.AdapterConfig) { c.CPTTokenIDs = nil },
		"cpt_mask":               func(c *hfio.AdapterConfig) { c.CPTMask = []int{1} },
		"cpt_tokens_type_mask":   func(c *hfio.AdapterConfig) { c.CPTTokensTypeMask = []int{1, 2, 3} },
		"opt_weighted_loss_type": func(c *hfio.AdapterConfig) { c.OptWeightedLossType = "square" },
	} {
		t.Run(field, func(t *testing.T) {
			file := openCausal(t, "cpt_gpt2")
			change(&file.Config)
			found := adapters.Validate(file, nil)
			if len(found) == 0 || !strings.Contains(found[0].String()+found[len(found)-1].String(), field) {
				t.Errorf("Validate() = %v", found)
			}
		})
	}
}
