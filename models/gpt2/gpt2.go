// Package gpt2 is GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask
// Learners"), as transformers computes it. Start at [Architecture], through models/auto.
package gpt2

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/decoder"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is the entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix: "transformer.",
	Tasks:  decoder.Tasks("GPT2", "GPT2LMHeadModel"),
	New:    models.NewBackbone(New),
}

// config is what GPT-2 has beside what all decoders have.
type config struct {
	decoder.Config
	scaled, scaledByLayer bool // scores are divided by √k; by the number of the layer, from 1
}

// New reads the decoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*decoder.Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	d := c.Hidden
	m := &decoder.Model{
		Config: c.Config, Words: w.Embedding("wte", c.Vocab, d), Classifier: "classifier",
		Embeddings: decoder.Positions(w.Embedding("wpe", c.MaxPositions, d), 0),
	}
	for i := range c.Layers {
		l, attention, mlp := w.At("h", i), w.At("h", i, "attn"), w.At("h", i, "mlp")
		m.Layers = append(m.Layers, &decoder.Layer{
			AttentionNorm: l.Norm("ln_1", d, c.NormEps),
			QKV:           attention.Conv1D("c_attn", 3*d, d),
			Output:        attention.Conv1D("c_proj", d, d),
			MLPNorm:       l.Norm("ln_2", d, c.NormEps),
			Up:            mlp.Conv1D("c_fc", c.Intermediate, d),
			Down:          mlp.Conv1D("c_proj", d, c.Intermediate),
			Activation:    c.Activation,
			Heads:         c.Heads,
			HeadSize:      c.HeadDim,
			Scale:         c.scale(i),
			Dropout:       c.Dropout,
		})
	}
	m.Norm = w.Norm("ln_f", d, c.NormEps)
	return m, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// (reorder_and_upcast_attn changes no number in float32.)
// Source: transformers 5.23, configuration_gpt2.py and modeling_gpt2.py.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r := file.Reader()
	r.AlsoNamed("n_layer", "num_hidden_layers")
	r.AlsoNamed("n_embd", "hidden_size")
	r.AlsoNamed("n_head", "num_attention_heads")
	r.AlsoNamed("n_positions", "max_position_embeddings")
	c := config{Config: decoder.Config{
		Shape: models.Shape{
			ModelType:    file.ModelType,
			Layers:       r.Size("n_layer"),
			Hidden:       r.Size("n_embd"),
			Heads:        r.Size("n_head"),
			Vocab:        r.Size("vocab_size"),
			MaxPositions: r.Size("n_positions"),
		},
		Activation:   layer.ReadActivation(r, "activation_function", "gelu_new"),
		NormEps:      float32(r.NotNegativeOr("layer_norm_epsilon", 1e-5)),
		EmbedDropout: r.ProbabilityOr("embd_pdrop", 0.1),
		InitRange:    r.NotNegativeOr("initializer_range", 0.02),
		Tied:         r.BoolOr("tie_word_embeddings", true),
		Pad:          r.IntOr("pad_token_id", -1),
	}}
	residual := r.ProbabilityOr("resid_pdrop", 0.1)
	c.Config.Dropout = decoder.Dropout{Attention: r.ProbabilityOr("attn_pdrop", 0.1), Output: residual, MLP: residual}
	c.ClassifierDropout = r.ProbabilityOr("classifier_dropout", r.ProbabilityOr("hidden_dropout", 0.1))
	c.Intermediate = r.SizeOr("n_inner", 4*c.Hidden)
	c.scaled, c.scaledByLayer = r.BoolOr("scale_attn_weights", true), r.BoolOr("scale_attn_by_inverse_layer_idx", false)
	if r.BoolOr("add_cross_attention", false) {
		r.Reject("add_cross_attention", "false")
	}
	c.Config = c.Complete(r, decoder.Fields{Layers: "n_layer", Heads: "n_head", Hidden: "n_embd"}, tensors)
	return c, r.Err()
}

// scale is what the scores of a layer are multiplied by.
func (c config) scale(index int) float32 {
	scale := 1.0
	if c.scaled {
		scale = c.RootScale()
	}
	if c.scaledByLayer {
		scale /= float64(index + 1)
	}
	return float32(scale)
}
