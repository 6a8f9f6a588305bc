// Package albert is ALBERT (Lan et al. 2019, arXiv 1909.11942), model_type albert, as
// transformers computes it: BERT, whose layers share their weights in groups and whose
// embeddings are narrower than they. Start at [Architecture], through models/auto.
package albert

import (
	"fmt"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is ALBERT's entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix:  "albert.",
	Renamed: encoder.Renamed,
	Tasks:   encoder.Tasks("Albert"),
	New:     models.NewBackbone(New),
}

// Model is the encoder without pooler and head.
type Model struct{ *encoder.Model }

var names = encoder.Names{
	Query: "attention.query", Key: "attention.key", Value: "attention.value",
	AttentionOutput: "attention.dense", AttentionNorm: "attention.LayerNorm",
	Intermediate: "ffn", Output: "ffn_output", OutputNorm: "full_layer_layer_norm",
}

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, groups, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &encoder.Model{
		Config: c, Embeddings: encoder.NewEmbeddings(c, w.At("embeddings")),
		Projection: w.Linear("encoder.embedding_hidden_mapping_in", c.Hidden, c.Embedding),
	}
	shared := make([]*encoder.Layer, groups)
	for i := range shared {
		shared[i] = encoder.NewLayer(c, w.At("encoder", "albert_layer_groups", i, "albert_layers", 0), names)
		shared[i].OutputDropout = 0
	}
	for i := range c.Layers {
		// int(i / (layers / groups)), in transformers' floating point
		m.Layers = append(m.Layers, shared[int(float64(i)/(float64(c.Layers)/float64(groups)))])
	}
	return &Model{m}, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// Source: transformers 5.23, configuration_albert.py.
func readConfig(file hfio.ModelConfig, tensors int) (c encoder.Config, groups int, err error) {
	r := file.Reader()
	c = encoder.Config{
		Shape: models.Shape{
			ModelType: file.ModelType, Layers: 12, Hidden: 4096, Embedding: 128, Heads: 64, Vocab: 30000, MaxPositions: 512, TypeVocab: 2,
			PEFT: models.PEFTLimits{NoPast: true},
		},
		Intermediate: 16384, Act: "gelu_new", NormEps: 1e-12, InitRange: 0.02,
	}.Read(r)
	const most = 1 << 10 // they cost no tensors
	if c.Layers > most {
		r.Reject(encoder.BERTFields.Layers, fmt.Sprintf("no more than %d", most))
	}
	c = c.Complete(r, encoder.BERTFields, max(tensors, c.Layers))
	c.ClassifierDropout = r.ProbabilityOr("classifier_dropout_prob", 0.1)
	groups = r.SizeOr("num_hidden_groups", 1)
	if groups > min(tensors, c.Layers) {
		r.Reject("num_hidden_groups", "no more than num_hidden_layers and the tensors of the checkpoint")
	}
	if r.IntOr("inner_group_num", 1) != 1 {
		r.Reject("inner_group_num", "1")
	}
	return c, groups, r.Err()
}

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_albert.py, AlbertFor*.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.Config, head.NewReader(w, spec, m.Config.InitRange)
	switch spec.Task {
	case models.SeqCls:
		pooler := head.Pooler{Linear: w.Linear("pooler", c.Hidden, c.Hidden), Activation: kernel.Tanh}
		return r.Made(head.NewPooled(pooler, c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
	case models.TokenCls:
		return r.Made(head.NewToken(c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
	case models.QuestionAns:
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	case models.MaskedLM:
		names := encoder.MaskedNames{Transform: "dense", Norm: "LayerNorm", Decoder: "decoder", Bias: "bias"}
		return r.Made(c.NewMasked(w.Outside().At("predictions"), m.Embeddings.Word, c.Activation, names))
	}
	return r.NoneBeside("pooler", c.Hidden)
}
