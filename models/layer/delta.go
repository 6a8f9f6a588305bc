package layer

import (
	"sync"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Delta is what an adapter does to a layer. To a linear it adds Scale · (dropped(x)·Aᵀ·Bᵀ + Shift),
// and with a Magnitude it sets how long the rows of the weight are then.
type Delta struct {
	A, B    mat.Tensor // [r, in] and [out, r]; nil: nothing is added
	Shift   mat.Tensor // [1, out]; nil: none
	Scale   float32
	Dropout float32    // probability of dropping an element of x in training
	Bias    mat.Tensor // [1, out], in place of the layer's own; nil: that stays
	// Magnitude goes without a Shift; nil: none.
	Magnitude *Magnitude
}

// Magnitude is the length that each row of a linear's weight has with a delta in it. The rows' own
// lengths are computed once: the factors must not change while it is used.
type Magnitude struct {
	Values mat.Tensor // [1, out]

	once  sync.Once
	norms []float32
}

// Deltas are what the adapters of a batch do to layers. A nil *Deltas does nothing.
type Deltas struct {
	Groups  []DeltaGroup
	Dropout *Dropout // nil: evaluation
}

// DeltaGroup is what one adapter does to its rows of a batch.
type DeltaGroup struct {
	Of   map[string]Delta // by the path of the layer
	Rows []kernel.Span    // in order and apart
}

// placedDelta is a delta of a linear, with its place in the result.
type placedDelta struct {
	Delta
	kernel.LowRank
	missing mat.Tensor // see [kernel.Magnitude]; nil: none
}

// of returns the deltas of a linear that add something.
func (d *Deltas) of(l *Linear) []placedDelta {
	if d == nil {
		return nil
	}
	var found []placedDelta
	for _, part := range l.parts {
		for _, g := range d.Groups {
			if delta, ok := g.Of[part.module]; ok && delta.A != nil {
				low := kernel.LowRank{
					A: delta.A, B: delta.B, Scale: delta.Scale, Column: part.column, Rows: g.Rows, Drop: d.Dropout.Mask(delta.Dropout),
				}
				found = append(found, placedDelta{Delta: delta, LowRank: low})
			}
		}
	}
	return found
}

// rescale returns the results y [R, out] of a linear and its deltas with their magnitudes; that is y
// itself where there are none.
func (l *Linear) rescale(y mat.Tensor, deltas []placedDelta) mat.Tensor {
	var magnitudes []kernel.Magnitude
	for _, d := range deltas {
		if d.Magnitude == nil {
			continue
		}
		m := kernel.Magnitude{Values: d.Magnitude.Values, Norms: d.norms(l), Column: d.Column, Rows: d.Rows, Missing: d.missing}
		if l.bias != nil {
			m.Frozen = l.bias[d.Column:][:len(m.Norms)]
		}
		magnitudes = append(magnitudes, m)
	}
	if magnitudes == nil {
		return y
	}
	z := kernel.Rescale(y, magnitudes...)
	for _, m := range magnitudes {
		if m.Missing != nil {
			kernel.Release(m.Missing)
		}
	}
	return z
}

// missing returns what the weight makes of dropped(x) - x, and x for one more consumer.
func (l *Linear) missing(x mat.Tensor, mask kernel.Mask) (missing, next mat.Tensor) {
	x = kernel.Tee(x)
	dropped := kernel.Dropout(x, mask)
	x = kernel.Tee(x)
	negative := kernel.Scale(x, -1)
	y := kernel.Replace(dropped, kernel.Add(dropped, negative))
	kernel.Release(negative)
	return kernel.Replace(y, kernel.Linear(y, l.weight, nil)), x
}

// norms are the lengths of the rows with the delta.
func (d placedDelta) norms(l *Linear) []float32 {
	m := d.Magnitude
	m.once.Do(func() { m.norms = l.weight.Norms(d.LowRank) })
	return m.norms
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
