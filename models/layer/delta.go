package layer

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Delta is what an adapter does to a layer. To a linear it adds Scale · (dropped(x)·Aᵀ·Bᵀ + Shift).
type Delta struct {
	A, B    mat.Tensor // [r, in] and [out, r]; nil: nothing is added
	Shift   mat.Tensor // [1, out]; nil: none
	Scale   float32
	Dropout float32    // probability of dropping an element of x in training
	Bias    mat.Tensor // [1, out], in place of the layer's own; nil: that stays
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
			if delta, ok := g.Of[part.module]; ok && delta.A != nil {
				found = append(found, kernel.LowRank{
					A: delta.A, B: delta.B, Scale: delta.Scale, Column: part.column, Rows: g.Rows, Drop: d.Dropout.Mask(delta.Dropout),
				})
			}
		}
	}
	return found
}

// addBiases returns y [R, out] with the biases of layers beside each other, whose own bias is in y
// already; that is y itself where there are none.
func (d *Deltas) addBiases(y mat.Tensor, parts []linearPart, own []float32) mat.Tensor {
	if d == nil {
		return y
	}
	var biases []kernel.Bias
	for _, part := range parts {
		for _, g := range d.Groups {
			delta := g.Of[part.module]
			if delta.Shift != nil {
				biases = append(biases, kernel.Bias{Values: delta.Shift, Scale: delta.Scale, Column: part.column, Rows: g.Rows})
			}
			if delta.Bias != nil {
				frozen := own[part.column:][:kernel.Cols(delta.Bias)]
				biases = append(biases, kernel.Bias{Values: delta.Bias, Scale: 1, Frozen: frozen, Column: part.column, Rows: g.Rows})
			}
		}
	}
	if biases == nil {
		return y
	}
	return kernel.AddBias(y, biases...)
}
