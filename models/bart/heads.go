package bart

import (
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// NewHead makes the head of a task; see [models.HeadedBackbone].
// Source: transformers 5.23, modeling_bart.py, modeling_mbart.py and modeling_pegasus.py.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	c, r := m.config, head.NewReader(w, spec, m.config.initRange)
	switch {
	case spec.Task == models.Seq2SeqLM:
		var bias []float32 // a buffer, zeros where the checkpoint lacks it
		if name := "final_logits_bias"; w.Has(name) {
			bias = w.Values(name, 1, c.Vocab)
		}
		own := head.Decoder{Words: m.words.Table, Vocab: c.Vocab, Width: c.Hidden, Tied: c.tied, Name: "lm_head"}
		return r.Made(&head.LM{Decoder: head.ReadLM(w, own, bias)})
	case spec.Task == models.SeqCls && c.ModelType != "pegasus":
		return r.NewEnd(c.eos, c.classifierDropout, c.Hidden)
	case spec.Task == models.QuestionAns && c.ModelType != "pegasus":
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	}
	return r.None()
}
