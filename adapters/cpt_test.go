package adapters_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// TestCPTIsItsRows: PEFT's encoder gives the stored rows as they are, and there is nothing to train.
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
	if m.Adapter.Continuable() || len(m.Trained()) > 0 {
		t.Error("it can be trained")
	}
	_, err = adapters.New(causalBase(t), file.Config, adapters.Init{Rand: rand.New(rand.NewPCG(1, 2))})
	if !errors.Is(err, adapters.ErrConfig) || !strings.Contains(err.Error(), "CPT is not trained here") {
		t.Errorf("New gives %v", err)
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
