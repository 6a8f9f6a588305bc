package head

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Pooler is a frozen layer over the first row of each sequence: PEFT neither trains nor
// saves it.
type Pooler struct {
	Linear     *layer.Linear
	Activation layer.Activation
}

// pooled scores what a pooler makes of the first row of each sequence.
// Source: transformers 5.23, modeling_bert.py, BertPooler and BertForSequenceClassification.
type pooled struct {
	nn.Module
	pooler  Pooler
	dropout float32
	Scores  Linear
}

// NewPooled returns the head dropout(activation(pooler(first row))) → scores.
func NewPooled(pooler Pooler, dropout float32, scores Linear) models.Head {
	return &pooled{pooler: pooler, dropout: dropout, Scores: scores}
}

func (h *pooled) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	first, alone := models.FirstRows(out.Spans)
	deltas := models.DeltasOf(out.Prompts, alone, dropout)
	x := h.pooler.Activation(h.pooler.Linear.Forward(kernel.Gather(out.Hidden, first), deltas)) // [B, d]
	return h.Scores.Forward(kernel.Dropout(x, dropout.Mask(h.dropout))), nil
}

// ReadsFirstRows spares the last layer the other rows.
func (h *pooled) ReadsFirstRows() {}

func (h *pooled) Params() []models.NamedParam { return params(h.Scores) }

func (h *pooled) Clone() models.Head { return NewPooled(h.pooler, h.dropout, h.Scores.clone()) }
