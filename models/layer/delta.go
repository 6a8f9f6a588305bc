package layer

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Delta is what an adapter adds to a linear layer: Scale · dropped(x)·Aᵀ·Bᵀ.
type Delta struct {
	A, B    mat.Tensor // [r, in] and [out, r]
	Scale   float32
	Dropout float32 // probability of dropping an element of x in training
}

// Deltas are what the adapters of a batch add. A nil *Deltas adds nothing.
type Deltas struct {
	Groups  []DeltaGroup
	Dropout *Dropout // nil: evaluation
}

// DeltaGroup is what one adapter adds to its rows of a batch.
type DeltaGroup struct {
	Of   map[string]Delta // by the path of the linear layer
	Rows []kernel.Span    // in order and apart
}

// of returns the deltas of a linear.
func (d *Deltas) of(l *Linear) []kernel.LowRank {
	if d == nil {
		return nil
	}
	var found []kernel.LowRank
	for _, part := range l.parts {
		for _, g := range d.Groups {
			if delta, ok := g.Of[part.module]; ok {
				found = append(found, kernel.LowRank{
					A: delta.A, B: delta.B, Scale: delta.Scale, Column: part.column, Rows: g.Rows, Drop: d.Dropout.Mask(delta.Dropout),
				})
			}
		}
	}
	return found
}
