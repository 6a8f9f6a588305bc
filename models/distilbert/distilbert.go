// Package distilbert is DistilBERT (Sanh et al. 2019, arXiv 1910.01108), model_type
// distilbert, as transformers computes it: BERT without token types and pooler, with names
// of its own. Start at [Architecture], through models/auto.
package distilbert

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is DistilBERT's entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix:  "distilbert.",
	Renamed: encoder.Renamed,
	Tasks:   encoder.Tasks("DistilBert"),
	New:     models.NewBackbone(New),
}

// Model is the encoder without head.
type Model struct {
	*encoder.Model
	qaDropout float32
}

var names = encoder.Names{
	Query: "attention.q_lin", Key: "attention.k_lin", Value: "attention.v_lin",
	AttentionOutput: "attention.out_lin", AttentionNorm: "sa_layer_norm",
	Intermediate: "ffn.lin1", Output: "ffn.lin2", OutputNorm: "output_layer_norm",
}

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, qaDropout, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &encoder.Model{Config: c, Embeddings: encoder.NewEmbeddings(c, w.At("embeddings"))}
	for i := range c.Layers {
		l := encoder.NewLayer(c, w.At("transformer", "layer", i), names)
		l.AttentionOutputDropout = 0
		m.Layers = append(m.Layers, l)
	}
	return &Model{m, qaDropout}, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// sinusoidal_pos_embds says how the position embeddings were made, which are in the file.
// Source: transformers 5.23, configuration_distilbert.py; modeling_distilbert.py for eps.
func readConfig(file hfio.ModelConfig, tensors int) (c encoder.Config, qaDropout float32, err error) {
	r := file.Reader()
	r.AlsoNamed("n_layers", "num_hidden_layers")
	r.AlsoNamed("n_heads", "num_attention_heads")
	r.AlsoNamed("dim", "hidden_size")
	fields := encoder.Fields{Layers: "n_layers", Heads: "n_heads", Hidden: "dim"}
	c = encoder.Config{
		Shape: models.Shape{
			ModelType:    file.ModelType,
			Layers:       r.SizeOr(fields.Layers, 6),
			Hidden:       r.SizeOr(fields.Hidden, 768),
			Heads:        r.SizeOr(fields.Heads, 12),
			Vocab:        r.SizeOr("vocab_size", 30522),
			MaxPositions: r.SizeOr("max_position_embeddings", 512),
			PEFT:         models.PEFTLimits{NoPast: true, NoSizes: true},
		},
		Intermediate:      r.SizeOr("hidden_dim", 4*768),
		Activation:        layer.ReadActivation(r, "activation", "gelu"),
		NormEps:           1e-12,
		HiddenDropout:     r.ProbabilityOr("dropout", 0.1),
		AttentionDropout:  r.ProbabilityOr("attention_dropout", 0.1),
		ClassifierDropout: r.ProbabilityOr("seq_classif_dropout", 0.2),
		InitRange:         r.NotNegativeOr("initializer_range", 0.02),
		Tied:              r.BoolOr("tie_word_embeddings", true),
	}
	c.Embedding = c.Hidden
	c = c.Complete(r, fields, tensors)
	return c, r.ProbabilityOr("qa_dropout", 0.1), r.Err()
}

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_distilbert.py, DistilBertFor*.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.Config, head.NewReader(w, spec, m.Config.InitRange)
	switch spec.Task {
	case models.SeqCls:
		return r.Made(&head.MLP{
			First: r.Linear("pre_classifier", c.Hidden, c.Hidden), Activation: kernel.ReLU, Scores: r.Scores("classifier", c.Hidden),
			Dropout: c.ClassifierDropout,
		})
	case models.TokenCls:
		return r.Made(head.NewToken(c.HiddenDropout, r.Scores("classifier", c.Hidden)))
	case models.QuestionAns:
		return r.Made(head.NewToken(m.qaDropout, r.Span(c.Hidden)))
	case models.MaskedLM:
		names := encoder.MaskedNames{Transform: "vocab_transform", Norm: "vocab_layer_norm", Decoder: "vocab_projector"}
		return r.Made(c.NewMasked(w.Outside(), m.Embeddings.Word, c.Activation, names))
	}
	return r.None()
}
