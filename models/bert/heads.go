package bert

import (
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
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
		return r.Made(m.newMasked(w.Outside().At("cls", "predictions")))
	}
	return r.NoneBeside("pooler.dense", c.Hidden)
}

func (m *Model) newMasked(w *layer.Weights) models.Head {
	c := m.Config
	return &head.Masked{
		Transform:  w.Linear("transform.dense", c.Hidden, c.Hidden),
		Activation: c.Activation,
		Norm:       w.Norm("transform.LayerNorm", c.Hidden, c.NormEps),
		Decoder: head.ReadDecoder(w, head.Decoder{
			Words: m.Embeddings.Word.Table, Vocab: c.Vocab, Width: c.Hidden, Tied: c.Tied, Name: "decoder", Bias: "bias",
		}),
	}
}
