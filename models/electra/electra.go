// Package electra is ELECTRA (Clark et al. 2020, arXiv 2003.10555), model_type electra, as
// transformers computes it: BERT, whose embeddings may be narrower than its layers. Start
// at [Architecture], through models/auto.
package electra

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is ELECTRA's entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix:  "electra.",
	Renamed: encoder.Renamed,
	Tasks:   encoder.Tasks("Electra"),
	New:     models.NewBackbone(New),
}

// Model is the encoder without head.
type Model struct{ *encoder.Model }

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &encoder.Model{Config: c, Embeddings: encoder.NewEmbeddings(c, w.At("embeddings"))}
	if c.Embedding != c.Hidden {
		m.Projection = w.Linear("embeddings_project", c.Hidden, c.Embedding)
	}
	for i := range c.Layers {
		m.Layers = append(m.Layers, encoder.NewLayer(c, w.At("encoder", "layer", i), encoder.BERTNames))
	}
	return &Model{m}, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// Source: transformers 5.23, configuration_electra.py.
func readConfig(file hfio.ModelConfig, tensors int) (encoder.Config, error) {
	r := file.Reader()
	c := encoder.Config{
		Shape: models.Shape{
			ModelType: file.ModelType, Layers: 12, Hidden: 256, Embedding: 128, Heads: 4, Vocab: 30522, MaxPositions: 512, TypeVocab: 2,
		},
		Intermediate: 1024, Act: "gelu", NormEps: 1e-12, HiddenDropout: 0.1, AttentionDropout: 0.1, InitRange: 0.02,
	}.Read(r).Complete(r, encoder.BERTFields, tensors)
	c.ClassifierDropout = r.ProbabilityOr("classifier_dropout", c.HiddenDropout)
	return c, r.Err()
}

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_electra.py, ElectraFor*.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.Config, head.NewReader(w, spec, m.Config.InitRange)
	switch spec.Task {
	case models.SeqCls:
		return r.Made(&head.MLP{
			First: r.Linear("classifier.dense", c.Hidden, c.Hidden), Activation: kernel.GELU, Scores: r.Scores("classifier.out_proj", c.Hidden),
			RowDropout: c.ClassifierDropout, Dropout: c.ClassifierDropout,
		})
	case models.TokenCls:
		return r.Made(head.NewToken(c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
	case models.QuestionAns:
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	case models.MaskedLM:
		names := encoder.MaskedNames{Transform: "generator_predictions.dense", Norm: "generator_predictions.LayerNorm", Decoder: "generator_lm_head"}
		return r.Made(c.NewMasked(w.Outside(), m.Embeddings.Word, kernel.GELU, names))
	}
	return r.None()
}
