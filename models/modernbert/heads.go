package modernbert

import (
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// NewHead makes the head of a task. Problems of tensors are noted in the weights. All
// heads have a layer of their own before the scores. Those of QUESTION_ANS are called
// classifier here and not qa_outputs, so that PEFT does not find them by itself.
// Source: transformers 5.23, modeling_modernbert.py, ModernBertFor*.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.config, head.NewReader(w, spec, m.config.InitRange)
	if spec.Task == models.FeatureExtraction {
		return r.None()
	}
	w = w.Outside()
	pooler := head.Pooler{
		Linear:     w.Beside(c.Hidden, c.classifierBias, layer.Part{Name: "head.dense", Out: c.Hidden}),
		Activation: c.headActivation,
		Norm:       c.norm(w, "head.norm"),
	}
	switch spec.Task {
	case models.SeqCls:
		if c.mean {
			return r.Made(head.NewMean(pooler, c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
		}
		return r.Made(head.NewPooled(pooler, c.ClassifierDropout, r.Scores("classifier", c.Hidden)))
	case models.TokenCls:
		return r.Made(head.NewEach(pooler, c.ClassifierDropout, head.Always(r.Scores("classifier", c.Hidden))))
	case models.QuestionAns:
		scores := r.Optional("classifier", head.Part{Name: "classifier", Out: 2, In: c.Hidden})
		return r.Made(head.NewEach(pooler, c.ClassifierDropout, scores[0]))
	case models.MaskedLM:
		return r.Made(&head.Masked{Transform: pooler.Linear, Activation: pooler.Activation, Norm: pooler.Norm, Decoder: m.decoder(w)})
	}
	return r.None()
}

func (m *Model) decoder(w *layer.Weights) *layer.Linear {
	c := m.config
	var bias []float32
	if c.decoderBias {
		bias = w.Values("decoder.bias", c.Vocab)
	}
	return head.ReadLM(w, head.Decoder{Words: m.words.Table, Vocab: c.Vocab, Width: c.Hidden, Tied: c.Tied, Name: "decoder"}, bias)
}
