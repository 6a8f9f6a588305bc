package llama

import (
	"cmp"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is the entry of a family in the table of models/auto.
func Architecture(modelType string) models.Architecture {
	f := families[modelType]
	a := models.Architecture{
		Prefix:  "model.",
		Windows: f.windows,
		Tasks: map[string]models.Task{
			cmp.Or(f.lm, f.class+"ForCausalLM"):   models.CausalLM,
			f.class + "ForSequenceClassification": models.SeqCls,
			f.class + "Model":                     models.FeatureExtraction,
		},
		New: func(config hfio.ModelConfig, w *layer.Weights) (models.HeadedBackbone, error) {
			m, err := New(config, w)
			if err != nil {
				return nil, err
			}
			return m, nil
		},
	}
	if f.tags {
		a.Tasks[f.class+"ForTokenClassification"] = models.TokenCls
	}
	if f.answers {
		a.Tasks[f.class+"ForQuestionAnswering"] = models.QuestionAns
		a.Prefixes = f.prefixes
	}
	return a
}

// NewHead makes the head of a task. Problems of tensors are noted in the weights.
// Source: transformers 5.23, modeling_layers.py, GenericFor*, and modeling_llama.py.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r, f := m.config, head.NewReader(w, spec, m.config.initRange), families[m.config.ModelType]
	switch {
	case spec.Task == models.CausalLM:
		words := head.Decoder{Words: m.words.Table, Vocab: c.Vocab, Width: c.Hidden, Tied: c.tied, Name: "lm_head"}
		return r.Made(&head.LM{Decoder: head.ReadLM(w, words, nil), Cap: c.logitCap})
	case spec.Task == models.SeqCls:
		return r.Made(head.NewLast(c.pad, r.PlainScores("score", c.Hidden)))
	case spec.Task == models.TokenCls && f.tags:
		return r.Made(head.NewToken(c.classifierDropout, r.Scores("score", c.Hidden)))
	case spec.Task == models.QuestionAns && f.answers:
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	}
	return r.None()
}
