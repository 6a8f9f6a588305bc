package head

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// MLP scores the first row of each sequence by two trained layers.
// Source: transformers 5.23, modeling_roberta.py, RobertaClassificationHead.
type MLP struct {
	nn.Module
	First      Linear
	Activation layer.Activation
	Scores     Linear
	RowDropout float32 // of the row
	Dropout    float32 // of the activation
}

var _ models.FirstRowReader = (*MLP)(nil)

// Forward returns [B, C].
func (h *MLP) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	first, _ := models.FirstRows(out.Spans)
	x := kernel.Dropout(kernel.Gather(out.Hidden, first), dropout.Mask(h.RowDropout)) // [B, d]
	x = h.Activation(h.First.Forward(x))
	return h.Scores.Forward(kernel.Dropout(x, dropout.Mask(h.Dropout))), nil
}

// ReadsFirstRows spares the last layer the other rows.
func (h *MLP) ReadsFirstRows() {}

// Params lists both layers.
func (h *MLP) Params() []models.NamedParam { return params(h.First, h.Scores) }

// Clone returns a copy that is trained by itself.
func (h *MLP) Clone() models.Head {
	clone := *h
	clone.First, clone.Scores = h.First.clone(), h.Scores.clone()
	return &clone
}
