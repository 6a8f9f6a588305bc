package adapters_test

import (
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// sized is a base of which only the sizes count.
type sized struct {
	wide
	shape models.Shape
}

func (s *sized) Shape() models.Shape { return s.shape }

func (s *sized) Embed(ids []int) (mat.Tensor, error) {
	return kernel.New(len(ids), s.shape.Embedding, nil), nil
}

// TestSizesEqualPEFT: what PEFT 0.21.2 fills in for a Llama of hidden size 32, 4 heads
// and 2 heads of keys and values, for other head sizes, and for narrow embeddings.
func TestSizesEqualPEFT(t *testing.T) {
	llama := models.Shape{Layers: 2, Hidden: 32, Embedding: 32, Heads: 4, KVHeads: 2, HeadDim: 8, Vocab: 9}
	wideHeads := llama
	wideHeads.HeadDim = 16
	ungrouped := wideHeads
	ungrouped.KVHeads = 4
	bert := models.Shape{Layers: 3, Hidden: 32, Embedding: 32, Heads: 4, KVHeads: 4, HeadDim: 8, Vocab: 9}
	electra := bert
	electra.Embedding = 16
	tests := []struct {
		name     string
		variant  string
		base     models.Shape
		dim      int
		heads    int
		encoder  int
		values   []int // shape of prompt_embeddings
		dimGiven int
	}{
		{"llama prompt", "prompt", llama, 32, 4, 32, []int{5, 32}, 0},
		{"llama p-tuning", "ptuning-mlp", llama, 32, 4, 32, []int{5, 32}, 0},
		{"llama prefix", "prefix", llama, 16, 2, 16, []int{5, 64}, 0},
		{"llama prefix, given size replaced", "prefix", llama, 16, 2, 16, []int{5, 64}, 32},
		{"llama prefix, head size of its own", "prefix", wideHeads, 32, 2, 32, []int{5, 128}, 0},
		{"llama prefix, head size of its own, no groups", "prefix", ungrouped, 64, 4, 64, []int{5, 256}, 0},
		{"bert prefix", "prefix-projection", bert, 32, 4, 32, []int{5, 192}, 0},
		{"electra prefix", "prefix", electra, 32, 4, 32, []int{5, 192}, 0},
		{"electra prompt, where PEFT fails", "prompt", electra, 16, 4, 16, []int{5, 16}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := variants[test.variant](5, 0)
			c.TokenDim = test.dimGiven
			base := &models.Model{Task: models.SeqCls, Backbone: &sized{shape: test.base}}
			m := create(t, base, c, adapters.Init{})
			full := m.Adapter.Config()
			got := []int{full.TokenDim, full.NumAttentionHeads, full.NumLayers, full.NumTransformerSubmodules, full.EncoderHiddenSize}
			want := []int{test.dim, test.heads, test.base.Layers, 1, test.encoder}
			if !slices.Equal(got, want) {
				t.Errorf("token_dim, heads, layers, submodules, encoder = %v, want %v", got, want)
			}
			if stored, _ := m.Adapter.Stored(); !slices.Equal(stored[0].Shape, test.values) {
				t.Errorf("prompt_embeddings is %v, want %v", stored[0].Shape, test.values)
			}
		})
	}
}

// TestConfigOfAFileDoesNotGrow: PEFT repeats modules_to_save at every load and save.
func TestConfigOfAFileDoesNotGrow(t *testing.T) {
	file := openFile(t, "prompt-seq_cls")
	m := create(t, openBase(t, models.SeqCls), file.Config, adapters.Init{})
	want, _ := file.Config.Encode()
	if got, err := m.Config.Encode(); err != nil || string(got) != string(want) {
		t.Errorf("config is %s (%v), want %s", got, err, want)
	}
}

// TestEncoderDropout: torch.nn.LSTM drops between its layers only, and PEFT's MLP
// never.
func TestEncoderDropout(t *testing.T) {
	tests := []struct {
		name    string
		variant string
		layers  int
		changes bool
	}{
		{"two LSTM layers", "ptuning-lstm", 2, true},
		{"one LSTM layer", "ptuning-lstm", 1, false},
		{"MLP", "ptuning-mlp", 2, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := variants[test.variant](4, 6)
			c.EncoderNumLayers, c.EncoderDropout = test.layers, 0.5
			m := create(t, wideBase(), c, adapters.Init{})
			rows := func(d *layer.Dropout) []float32 {
				prompt, err := m.Adapter.Prompt(d, nil)
				if err != nil {
					t.Fatal(err)
				}
				return kernel.Data(prompt.Input)
			}
			if changed := !slices.Equal(rows(nil), rows(layer.NewDropout(1))); changed != test.changes {
				t.Errorf("dropout changes the prompt: %v, want %v", changed, test.changes)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	want := []hfio.PeftType{hfio.PromptTuning, hfio.PTuning, hfio.PrefixTuning, hfio.MultitaskPromptTuning, hfio.Cartridge, hfio.CPT, hfio.Lora}
	if got := adapters.Methods(); !slices.Equal(got, want) {
		t.Errorf("Methods() = %v, want %v", got, want)
	}
}
