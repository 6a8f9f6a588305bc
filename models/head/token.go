package head

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// token gives every row its scores.
type token struct {
	nn.Module
	dropout float32
	Scores  Linear
}

// NewToken returns the head dropout(row) → scores: the classes of a token, or start and
// end of an answer.
func NewToken(dropout float32, scores Linear) models.Head {
	return &token{dropout: dropout, Scores: scores}
}

func (h *token) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	return h.Scores.Forward(kernel.Dropout(out.Hidden, dropout.Mask(h.dropout))), nil
}

func (h *token) Params() []models.NamedParam { return params(h.Scores) }

func (h *token) Clone() models.Head { return NewToken(h.dropout, h.Scores.clone()) }
