package adapters

import (
	"errors"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// What PEFT refuses on encoder-decoders (facts tried with peft 0.21.2), and sizes of prefixes
// that it fails on.
func TestSeq2SeqRefusals(t *testing.T) {
	base := models.Shape{ModelType: "t5", Layers: 2, Hidden: 8, Embedding: 8, Heads: 2, KVHeads: 2, HeadDim: 4, Vocab: 9, DecoderLayers: 3, DecoderHeads: 2}
	config := func(kind hfio.PeftType, task hfio.TaskType, layers, stacks int) hfio.AdapterConfig {
		cfg := hfio.NewAdapterConfig(kind)
		cfg.TaskType, cfg.NumLayers, cfg.NumTransformerSubmodules = task, layers, stacks
		cfg.TokenDim, cfg.NumAttentionHeads, cfg.NumVirtualTokens = 8, 2, 1
		return cfg
	}
	for _, c := range []struct {
		name string
		cfg  hfio.AdapterConfig
		want string // "": nothing
	}{
		{"prompt on the language model", config(hfio.PromptTuning, hfio.Seq2SeqLM, 2, 2), ""},
		{"prompt on tokens", config(hfio.PromptTuning, hfio.TokenCls, 2, 1), ""},
		{"prompt on a classifier", config(hfio.PromptTuning, hfio.SeqCls, 2, 1), `task_type": wrong adapter config: "SEQ_CLS", want "SEQ_2_SEQ_LM"`},
		{"prompt on answers", config(hfio.PromptTuning, hfio.QuestionAns, 2, 1), ""},
		{"prefix on a classifier", config(hfio.PrefixTuning, hfio.SeqCls, 3, 2), "takes no keys and values"},
		{"prefix on tokens", config(hfio.PrefixTuning, hfio.TokenCls, 3, 2), "takes no keys and values"},
		{"prefix on answers", config(hfio.PrefixTuning, hfio.QuestionAns, 3, 2), "no effect"},
		{"prefix on features", config(hfio.Cartridge, hfio.FeatureExtraction, 3, 2), "own keys"},
		{"LoRA on a classifier", config(hfio.Lora, hfio.SeqCls, 0, 0), ""},
		{"a prefix for every layer", config(hfio.PrefixTuning, hfio.Seq2SeqLM, 3, 2), ""},
		{"a prefix for two of three layers", config(hfio.PrefixTuning, hfio.Seq2SeqLM, 2, 2), "num_layers is 2 in the adapter, a decoder of 3 layers"},
		{"a prefix of one stack", config(hfio.PrefixTuning, hfio.Seq2SeqLM, 3, 1), "num_transformer_submodules is 1 in the adapter, 2"},
	} {
		m, err := methodOf(c.cfg.PeftType)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(seq2seqErrors(c.cfg, base, m)...)
		if err == nil && !m.delta {
			err = mismatchError(sizeMisfits(c.cfg, base, m))
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: found %v, want %q", c.name, err, c.want)
		}
	}
}
