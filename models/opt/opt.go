// Package opt is OPT (Zhang et al. 2022, arXiv 2205.01068), as transformers computes it.
// Start at [Architecture], through models/auto.
package opt

import (
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
	Prefix: "model.",
	Tasks: map[string]models.Task{
		"OPTForCausalLM":               models.CausalLM,
		"OPTForSequenceClassification": models.SeqCls,
		"OPTForQuestionAnswering":      models.QuestionAns,
		"OPTModel":                     models.FeatureExtraction,
	},
	New: models.NewBackbone(New),
}

// unusedPositions are the rows with which the table of positions begins.
// Source: transformers 5.23, modeling_opt.py, OPTLearnedPositionalEmbedding.
const unusedPositions = 2

// normEps is that of torch's LayerNorm: the config has none.
const normEps = 1e-5

// config is what OPT has beside what all decoders have.
type config struct {
	decoder.Config
	bias      bool // of the linears
	order     decoder.Order
	finalNorm bool
}

// New reads the decoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*decoder.Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	w = w.At("decoder")
	m := &decoder.Model{Config: c.Config, Words: w.Embedding("embed_tokens", c.Vocab, c.Embedding)}
	m.Words.Padding = c.Pad
	m.Embeddings = decoder.Positions(w.Embedding("embed_positions", c.MaxPositions+unusedPositions, c.Hidden), unusedPositions)
	if c.Embedding != c.Hidden {
		m.Project = w.Beside(c.Hidden, false, layer.Part{Name: "project_out", Out: c.Embedding})
		m.Embeddings = projected(w.Beside(c.Embedding, false, layer.Part{Name: "project_in", Out: c.Hidden}), m.Embeddings)
	}
	if c.finalNorm {
		m.Norm = w.Norm("final_layer_norm", c.Hidden, normEps)
	}
	for i := range c.Layers {
		m.Layers = append(m.Layers, c.layer(w.At("layers", i)))
	}
	return m, nil
}

// projected makes embeddings of words that are as wide as the model.
func projected(project *layer.Linear, embeddings func(*stack.Pass, mat.Tensor) mat.Tensor) func(*stack.Pass, mat.Tensor) mat.Tensor {
	return func(p *stack.Pass, x mat.Tensor) mat.Tensor {
		return embeddings(p, kernel.Replace(x, project.Forward(x, p.Deltas)))
	}
}

func (c config) layer(w *layer.Weights) *decoder.Layer {
	d, attention := c.Hidden, w.At("self_attn")
	return &decoder.Layer{
		AttentionNorm: w.Norm("self_attn_layer_norm", d, normEps),
		QKV:           attention.Beside(d, c.bias, layer.Part{Name: "q_proj", Out: d}, layer.Part{Name: "k_proj", Out: d}, layer.Part{Name: "v_proj", Out: d}),
		Output:        attention.Beside(d, c.bias, layer.Part{Name: "out_proj", Out: d}),
		MLPNorm:       w.Norm("final_layer_norm", d, normEps),
		Up:            w.Beside(d, c.bias, layer.Part{Name: "fc1", Out: c.Intermediate}),
		Down:          w.Beside(c.Intermediate, c.bias, layer.Part{Name: "fc2", Out: d}),
		Activation:    c.Activation,
		Heads:         c.Heads,
		HeadSize:      c.HeadDim,
		Order:         c.order,
		Dropout:       c.Dropout,
	}
}

// readConfig reads a config and reports everything in it that cannot be computed.
// Source: transformers 5.23, configuration_opt.py and modeling_opt.py.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r := file.Reader()
	c := config{Config: decoder.Config{
		Shape: models.Shape{
			ModelType:    file.ModelType,
			Layers:       r.Size("num_hidden_layers"),
			Hidden:       r.Size("hidden_size"),
			Heads:        r.Size("num_attention_heads"),
			Vocab:        r.Size("vocab_size"),
			MaxPositions: r.SizeOr("max_position_embeddings", 2048),
		},
		Intermediate: r.Size("ffn_dim"),
		Activation:   layer.ReadActivation(r, "activation_function", "relu"),
		InitRange:    r.NotNegativeOr("init_std", 0.02),
		Tied:         r.BoolOr("tie_word_embeddings", true),
		Pad:          r.IntOrNull("pad_token_id", 1, -1),
	}}
	c.Embedding = r.SizeOr("word_embed_proj_dim", c.Hidden)
	dropout := r.ProbabilityOr("dropout", 0.1)
	c.Config.Dropout = decoder.Dropout{Attention: r.ProbabilityOr("attention_dropout", 0), Output: dropout, MLP: dropout}
	c.bias = r.BoolOr("enable_bias", true)
	c.finalNorm = !r.BoolOr("_remove_final_layer_norm", false)
	if !r.BoolOr("do_layer_norm_before", true) {
		c.order, c.finalNorm = decoder.NormsLast, false
	}
	c.Config = c.Complete(r, decoder.Fields{Layers: "num_hidden_layers", Heads: "num_attention_heads", Hidden: "hidden_size"}, tensors)
	c.reject(r)
	return c, r.Err()
}

func (c config) reject(r *hfio.ConfigReader) {
	if !r.BoolOr("layer_norm_elementwise_affine", true) {
		r.Reject("layer_norm_elementwise_affine", "true")
	}
	if r.NotNegativeOr("layerdrop", 0) != 0 {
		r.Reject("layerdrop", "0: no layer is dropped in training")
	}
	if c.Pad >= c.Vocab {
		r.Reject("pad_token_id", "a token of the vocabulary")
	}
}
