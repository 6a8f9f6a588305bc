package deberta

import (
	"fmt"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_deberta_v2.py, DebertaV2For* and ContextPooler.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.config, head.NewReader(w, spec, m.config.InitRange)
	switch spec.Task {
	case models.SeqCls:
		return r.Made(m.newClassifier(w, spec, r))
	case models.TokenCls:
		return r.Made(head.NewToken(c.HiddenDropout, r.Scores("classifier", c.Hidden)))
	case models.QuestionAns:
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	case models.MaskedLM:
		if c.legacy { // LegacyDebertaV2LMPredictionHead
			names := encoder.MaskedNames{Transform: "transform.dense", Norm: "transform.LayerNorm", Decoder: "decoder", Bias: "bias"}
			return r.Made(c.NewMasked(w.Outside().At("cls", "predictions"), m.embeddings.Word, c.Activation, names))
		}
		if c.Embedding != c.Hidden {
			return nil, false, fmt.Errorf("%w: %s with legacy false, embedding_size %d and hidden_size %d, which transformers wants equal",
				models.ErrUnsupportedTask, spec.Task, c.Embedding, c.Hidden)
		}
		return r.Made(m.newMasked(w.Outside().At("lm_predictions", "lm_head")))
	}
	return r.None()
}

// newClassifier scores what a pooler makes of the first row. The pooler is of the checkpoint, and
// frozen. One that was trained for words alone has none: then it is drawn, trained and saved with the
// scores.
func (m *Model) newClassifier(w *layer.Weights, spec models.HeadSpec, r *head.Reader) models.Head {
	const name = "pooler.dense"
	c := m.config
	if spec.Rand != nil && !w.Has(name+".weight") {
		return &head.MLP{
			First: r.Linear(name, c.Hidden, c.Hidden), Activation: c.poolerActivation, Scores: r.Scores("classifier", c.Hidden),
			RowDropout: c.poolerDropout, Dropout: c.ClassifierDropout,
		}
	}
	pooler := head.Pooler{Dropout: c.poolerDropout, Linear: w.Outside().Linear(name, c.Hidden, c.Hidden), Activation: c.poolerActivation}
	return head.NewPooled(pooler, c.ClassifierDropout, r.Scores("classifier", c.Hidden))
}

// newMasked reads a head whose decoder is always the word embeddings.
// Source: transformers 5.23, modeling_deberta_v2.py, DebertaV2LMPredictionHead.
func (m *Model) newMasked(w *layer.Weights) models.Head {
	c := m.config
	return &head.Masked{
		Transform:  w.Linear("dense", c.Hidden, c.Hidden),
		Activation: c.Activation,
		Norm:       w.Norm("LayerNorm", c.Hidden, c.NormEps),
		Decoder:    w.NewLinear(m.embeddings.Word.Table, w.Values("bias", c.Vocab), c.Hidden),
	}
}
