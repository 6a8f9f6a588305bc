// Package gptneox is GPT-NeoX (Black et al. 2022, arXiv 2204.06745) and Pythia, model_type
// gpt_neox, as transformers computes it. Start at [Architecture], through models/auto.
package gptneox

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/decoder"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Architecture is the entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix:  "gpt_neox.",
	Renamed: [][2]string{{"lm_head.weight", "embed_out.weight"}},
	Tasks:   decoder.Tasks("GPTNeoX", "GPTNeoXForCausalLM"),
	New:     models.NewBackbone(New),
}

// config is what GPT-NeoX has beside what all decoders have.
type config struct {
	decoder.Config
	bias  bool // of the attention's linears
	order decoder.Order
	rope  *layer.Rope
}

// New reads the decoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*decoder.Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	d := c.Hidden
	m := &decoder.Model{
		Config: c.Config, Words: w.Embedding("embed_in", c.Vocab, d), Rope: c.rope, Classifier: "classifier",
		Embeddings: func(_ *stack.Pass, x mat.Tensor) mat.Tensor { return x },
	}
	for i := range c.Layers {
		l := w.At("layers", i)
		m.Layers = append(m.Layers, &decoder.Layer{
			AttentionNorm: l.Norm("input_layernorm", d, c.NormEps),
			QKV:           l.Beside(d, c.bias, layer.Part{Name: "attention.query_key_value", Out: 3 * d}),
			Output:        l.Beside(d, c.bias, layer.Part{Name: "attention.dense", Out: d}),
			MLPNorm:       l.Norm("post_attention_layernorm", d, c.NormEps),
			Up:            l.Linear("mlp.dense_h_to_4h", c.Intermediate, d),
			Down:          l.Linear("mlp.dense_4h_to_h", d, c.Intermediate),
			Activation:    c.Activation,
			Heads:         c.Heads,
			HeadSize:      c.HeadDim,
			Together:      true,
			Order:         c.order,
			Dropout:       c.Dropout,
		})
	}
	m.Norm = w.Norm("final_layer_norm", d, c.NormEps)
	return m, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// Source: transformers 5.23, configuration_gpt_neox.py and modeling_gpt_neox.py.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r := file.Reader()
	c := config{Config: decoder.Config{
		Shape: models.Shape{
			ModelType: file.ModelType,
			Layers:    r.Size("num_hidden_layers"),
			Hidden:    r.Size("hidden_size"),
			Heads:     r.Size("num_attention_heads"),
			Vocab:     r.Size("vocab_size"),
		},
		Intermediate:      r.Size("intermediate_size"),
		Activation:        layer.ReadActivation(r, "hidden_act", "gelu"),
		NormEps:           float32(r.NotNegativeOr("layer_norm_eps", 1e-5)),
		EmbedDropout:      r.ProbabilityOr("hidden_dropout", 0),
		ClassifierDropout: r.ProbabilityOr("classifier_dropout", 0.1),
		InitRange:         r.NotNegativeOr("initializer_range", 0.02),
		Tied:              r.BoolOr("tie_word_embeddings", false),
		Pad:               r.IntOr("pad_token_id", -1),
	}}
	c.Config.Dropout = decoder.Dropout{Attention: r.ProbabilityOr("attention_dropout", 0), Output: c.EmbedDropout, MLP: c.EmbedDropout}
	c.Config = c.Complete(r, decoder.Fields{Layers: "num_hidden_layers", Heads: "num_attention_heads", Hidden: "hidden_size"}, tensors)
	c.bias = r.BoolOr("attention_bias", true)
	if r.BoolOr("use_parallel_residual", true) {
		c.order = decoder.Parallel
	}
	if r.SizeOr("head_dim", c.HeadDim) != c.HeadDim { // in transformers it changes what is turned, not the heads
		r.Reject("head_dim", fmt.Sprintf("hidden_size / num_attention_heads, %d", c.HeadDim))
	}
	c.rope = layer.ReadRope(layer.RopeParameters(r), layer.RopeSizes{
		Head:         c.HeadDim,
		Theta:        r.FloatOr("rotary_emb_base", 10000),
		Part:         r.FloatOr("rotary_pct", 0.25),
		MaxPositions: r.SizeOr("max_position_embeddings", 2048),
		Original:     r.SizeOr("original_max_position_embeddings", 0),
	})
	return c, r.Err()
}
