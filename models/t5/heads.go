package t5

import (
	"fmt"
	"math"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// NewHead makes the head of a task; see [models.HeadedBackbone].
// Source: transformers 5.23, modeling_t5.py and modeling_mt5.py.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (models.Head, bool, error) {
	if m.decoder == nil && spec.Task != models.TokenCls {
		return nil, false, fmt.Errorf("%w: %s, the checkpoint is of a class without a decoder", models.ErrUnsupportedTask, spec.Task)
	}
	c, r := m.config, head.NewReader(w, spec, m.headDeviation(spec.Task))
	switch spec.Task {
	case models.Seq2SeqLM:
		// tie_word_embeddings tells T5 1.1, whose states are not scaled; the words are tied to the
		// decoder in all versions, where the checkpoint does not hold one.
		own := head.Decoder{Words: m.words.Table, Vocab: c.Vocab, Width: c.Hidden, Tied: true, Name: "lm_head"}
		lm := &head.LM{Decoder: head.ReadLM(w, own, nil)}
		if c.scaled {
			lm.Scale = float32(1 / math.Sqrt(float64(c.Hidden)))
		}
		return r.Made(lm)
	case models.SeqCls:
		return r.NewEnd(c.eos, c.classifierDropout, c.Hidden)
	case models.TokenCls:
		return r.Made(encoderHead{head.NewToken(c.classifierDropout, r.Scores("classifier", c.Hidden))})
	case models.QuestionAns:
		return r.Made(head.NewToken(0, r.Span(c.Hidden)))
	}
	return r.None()
}

// headDeviation is that of the weights of a new head.
func (m *Model) headDeviation(task models.Task) float64 {
	if task == models.TokenCls {
		return m.config.initFactor
	}
	return m.config.initFactor / math.Sqrt(float64(m.config.Hidden))
}

// encoderHead reads the encoder's rows.
type encoderHead struct{ models.Head }

var _ models.EncoderReader = encoderHead{}

func (h encoderHead) ReadsEncoder() {}

func (h encoderHead) Clone() models.Head { return encoderHead{h.Head.Clone()} }
