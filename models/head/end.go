package head

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// end scores the decoder's row at the last end token of each sequence by two layers.
// Source: transformers 5.23, modeling_bart.py, BartForSequenceClassification.
type end struct {
	nn.Module
	token         int
	dropout       float32 // of the row, and of the activation
	First, Scores Optional
}

var _ models.TokenReader = (*end)(nil)

// NewEnd returns the head of an encoder-decoder that classifies sequences of width d by the
// row of their last end token: out_proj(dropout(tanh(dense(dropout(row))))).
func (r *Reader) NewEnd(token int, dropout float32, d int) (head models.Head, isNew bool, err error) {
	const module = "classification_head"
	if len(r.spec.Labels) == 0 {
		return nil, false, fmt.Errorf("%w: found none, want at least 1", models.ErrLabels)
	}
	layers := r.Optional(module, Part{module + ".dense", d, d}, Part{module + ".out_proj", len(r.spec.Labels), d})
	return r.Made(&end{token: token, dropout: dropout, First: layers[0], Scores: layers[1]})
}

// Reads returns the last end token; none where there is none, which Forward reports.
func (h *end) Reads(s models.Sequence) []int {
	for i := len(s.IDs) - 1; i >= 0; i-- {
		if s.IDs[i] == h.token {
			return []int{i}
		}
	}
	return []int{}
}

// Forward returns [B, C].
func (h *end) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	for i, s := range out.Spans {
		if s.End-s.Start != 1 {
			return nil, fmt.Errorf("sequence %d: %w: found no end token, want a %d, at which the head reads the decoder", i, models.ErrTokenID, h.token)
		}
	}
	deltas := out.Deltas(dropout)
	x := kernel.Dropout(out.Hidden, dropout.Mask(h.dropout)) // [B, d]
	x = kernel.Tanh(h.First.forward(x, deltas))
	return h.Scores.forward(kernel.Dropout(x, dropout.Mask(h.dropout)), deltas), nil
}

// Params lists both layers where they are trained.
func (h *end) Params() []models.NamedParam { return append(h.First.params(), h.Scores.params()...) }

// Clone copies what is trained.
func (h *end) Clone() models.Head {
	clone := *h
	clone.First, clone.Scores = h.First.clone(), h.Scores.clone()
	return &clone
}
