// Package bloom is BLOOM (BigScience 2022, arXiv 2211.05100), as transformers computes it.
// Start at [Architecture], through models/auto.
package bloom

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/decoder"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Architecture is the entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix: "transformer.",
	Tasks:  decoder.Tasks("Bloom", "BloomForCausalLM"),
	New:    models.NewBackbone(New),
}

// New reads the decoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*decoder.Model, error) {
	c, order, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	d := c.Hidden
	words := w.Norm("word_embeddings_layernorm", d, c.NormEps)
	m := &decoder.Model{
		Config: c, Words: w.Embedding("word_embeddings", c.Vocab, d), Slopes: slopes(c.Heads), Classifier: "classifier",
		Embeddings: func(p *stack.Pass, x mat.Tensor) mat.Tensor {
			return kernel.Replace(x, words.Forward(x, nil, p.Deltas))
		},
	}
	for i := range c.Layers {
		l := w.At("h", i)
		m.Layers = append(m.Layers, &decoder.Layer{
			AttentionNorm: l.Norm("input_layernorm", d, c.NormEps),
			QKV:           l.Linear("self_attention.query_key_value", 3*d, d),
			Output:        l.Linear("self_attention.dense", d, d),
			MLPNorm:       l.Norm("post_attention_layernorm", d, c.NormEps),
			Up:            l.Linear("mlp.dense_h_to_4h", c.Intermediate, d),
			Down:          l.Linear("mlp.dense_4h_to_h", d, c.Intermediate),
			Activation:    c.Activation,
			Heads:         c.Heads,
			HeadSize:      c.HeadDim,
			Together:      true,
			Order:         order,
			Dropout:       c.Dropout,
		})
	}
	m.Norm = w.Norm("ln_f", d, c.NormEps)
	return m, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// Source: transformers 5.23, configuration_bloom.py and modeling_bloom.py.
func readConfig(file hfio.ModelConfig, tensors int) (decoder.Config, decoder.Order, error) {
	r := file.Reader()
	r.AlsoNamed("n_layer", "num_hidden_layers")
	r.AlsoNamed("n_head", "num_attention_heads")
	c := decoder.Config{
		Shape: models.Shape{
			ModelType: file.ModelType,
			Layers:    r.Size("n_layer"),
			Hidden:    r.Size("n_embed", "hidden_size"),
			Heads:     r.Size("n_head"),
			Vocab:     r.Size("vocab_size"),
		},
		Activation: kernel.GELUTanh,
		NormEps:    float32(r.NotNegativeOr("layer_norm_epsilon", 1e-5)),
		InitRange:  r.NotNegativeOr("initializer_range", 0.02),
		Tied:       r.BoolOr("tie_word_embeddings", true),
		Pad:        r.IntOr("pad_token_id", -1),
	}
	hidden := r.ProbabilityOr("hidden_dropout", 0)
	c.Dropout = decoder.Dropout{Attention: r.ProbabilityOr("attention_dropout", 0), Output: hidden, MLP: hidden}
	c.ClassifierDropout = r.ProbabilityOr("classifier_dropout", hidden)
	c.Intermediate = 4 * c.Hidden
	order := decoder.NormsFirst
	if r.BoolOr("apply_residual_connection_post_layernorm", false) {
		order = decoder.NormedResiduals
	}
	if r.BoolOr("slow_but_exact", false) && r.SizeOr("pretraining_tp", 1) > 1 { // transformers leaves out biases then
		r.Reject("slow_but_exact", "false, or pretraining_tp 1")
	}
	return c.Complete(r, decoder.Fields{Layers: "n_layer", Heads: "n_head", Hidden: "hidden_size"}, tensors), order, r.Err()
}

// slopes are those of ALiBi: powers of a base, and where the heads are no power of two, every
// second of those of twice as many.
// Source: transformers 5.23, modeling_bloom.py, _get_alibi_slopes.
func slopes(heads int) []float32 {
	whole := 1
	for 2*whole <= heads {
		whole *= 2
	}
	all := make([]float32, heads)
	for i := range all {
		if i < whole {
			all[i] = power(whole, i+1)
		} else {
			all[i] = power(2*whole, 2*(i-whole)+1)
		}
	}
	return all
}

// power returns the n-th power of 2^(-8/heads).
func power(heads, n int) float32 { return float32(math.Pow(2, -8*float64(n)/float64(heads))) }
