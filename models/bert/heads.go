package bert

import (
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_bert.py, BertFor*.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.Config, head.NewReader(w, spec, m.Config.InitRange)
	switch spec.Task {
	case models.SeqCls:
		pooler := head.Pooler{Linear: w.Linear("pooler.dense", c.Hidden, c.Hidden), Activation: kernel.Tanh}
		return r.Made(head.NewPooled(pooler, c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
	case models.TokenCls:
		return r.Made(head.NewToken(c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
	case models.QuestionAns:
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	case models.MaskedLM:
		names := encoder.MaskedNames{Transform: "transform.dense", Norm: "transform.LayerNorm", Decoder: "decoder", Bias: "bias"}
		return r.Made(c.NewMasked(w.Outside().At("cls", "predictions"), m.Embeddings.Word, c.Activation, names))
	}
	return r.NoneBeside("pooler.dense", c.Hidden)
}
