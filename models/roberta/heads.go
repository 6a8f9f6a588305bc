package roberta

import (
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_roberta.py, RobertaFor*.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.Config, head.NewReader(w, spec, m.Config.InitRange)
	switch spec.Task {
	case models.SeqCls:
		return r.Made(&head.MLP{
			First: r.Linear("classifier.dense", c.Hidden, c.Hidden), Activation: kernel.Tanh, Scores: r.Scores("classifier.out_proj", c.Hidden),
			RowDropout: c.ClassifierDropout, Dropout: c.ClassifierDropout,
		})
	case models.TokenCls:
		return r.Made(head.NewToken(c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
	case models.QuestionAns:
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	case models.MaskedLM:
		names := encoder.MaskedNames{Transform: "dense", Norm: "layer_norm", Decoder: "decoder", Bias: "bias"}
		return r.Made(c.NewMasked(w.Outside().At("lm_head"), m.Embeddings.Word, kernel.GELU, names))
	}
	return r.NoneBeside("pooler.dense", c.Hidden)
}
