package decoder

import (
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// Tasks are those of transformers' classes, whose names begin with the same word but for
// that of the language model.
func Tasks(class, languageModel string) map[string]models.Task {
	return map[string]models.Task{
		languageModel:                       models.CausalLM,
		class + "ForSequenceClassification": models.SeqCls,
		class + "ForTokenClassification":    models.TokenCls,
		class + "ForQuestionAnswering":      models.QuestionAns,
		class + "Model":                     models.FeatureExtraction,
	}
}

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_gpt2.py, modeling_bloom.py, modeling_gpt_neox.py,
// modeling_opt.py.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.Config, head.NewReader(w, spec, m.Config.InitRange)
	switch {
	case spec.Task == models.CausalLM:
		return r.Made(&head.LM{Decoder: head.ReadLM(w, head.Decoder{
			Words: m.Words.Table, Vocab: c.Vocab, Width: c.Embedding, Tied: c.Tied, Name: "lm_head",
		}, nil)})
	case spec.Task == models.SeqCls:
		return r.Made(head.NewLast(c.Pad, r.PlainScores("score", c.Embedding)))
	case spec.Task == models.TokenCls && m.Classifier != "":
		return r.Made(head.NewToken(c.ClassifierDropout, r.Scores(m.Classifier, c.Embedding)))
	case spec.Task == models.QuestionAns:
		return r.Made(head.NewToken(0, r.Span(c.Embedding)))
	}
	return r.None()
}
