package head

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// last scores the last row of each sequence, which alone has seen all others.
// Source: transformers 5.23, modeling_layers.py, GenericForSequenceClassification.
type last struct {
	nn.Module
	pad    int
	Scores Linear
}

var _ models.TokenReader = (*last)(nil)

// NewLast returns the head of a decoder that classifies sequences. It scores the last token
// that is not pad, of a sequence with input rows before it the last token; -1 is no pad.
func NewLast(pad int, scores Linear) models.Head { return &last{pad: pad, Scores: scores} }

// Reads returns the token that is scored. As in transformers it is the first where all are pad.
func (h *last) Reads(s models.Sequence) []int {
	token := len(s.IDs) - 1
	if s.Prompt != nil && s.Prompt.Input != nil { // transformers sees no ids then
		return []int{token}
	}
	for token > 0 && s.IDs[token] == h.pad {
		token--
	}
	return []int{token}
}

func (h *last) Forward(out models.Output, _ *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	rows := make([]int, len(out.Spans))
	for i, s := range out.Spans {
		rows[i] = s.End - 1
	}
	return h.Scores.Forward(kernel.Gather(out.Hidden, rows)), nil
}

func (h *last) Params() []models.NamedParam { return params(h.Scores) }

func (h *last) Clone() models.Head { return NewLast(h.pad, h.Scores.clone()) }
