package head

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// LM scores every word for every row. All of it is frozen.
type LM struct {
	nn.Module
	Decoder *layer.Linear
	Scale   float32 // of the rows before they are read; 0 means 1
	Cap     float32 // of the scores: cap·tanh(score/cap); 0: none
}

var _ models.Head = (*LM)(nil)

// Forward returns [R, vocab].
func (h *LM) Forward(out models.Output, _ *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	x := out.Hidden
	if h.Scale != 0 {
		x = kernel.Scale(x, h.Scale)
		defer kernel.Release(x)
	}
	y := h.Decoder.Forward(x, nil)
	if h.Cap == 0 {
		return y, nil
	}
	return kernel.Replace(y, kernel.SoftCap(y, h.Cap)), nil
}

// Params lists nothing: PEFT neither trains nor saves the head of a language model.
func (h *LM) Params() []models.NamedParam { return nil }

// Clone shares everything.
func (h *LM) Clone() models.Head { return h }

// ReadLM reads the head of a language model: the decoder's weight as [ReadDecoder] does, with
// a bias of its own, which may be nil.
func ReadLM(w *layer.Weights, d Decoder, bias []float32) *layer.Linear {
	weight := d.weight(w.Outside())
	if weight.Len() == 0 {
		return nil
	}
	return w.NewLinear(weight, bias, d.Width)
}
