package kernel

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// Scale returns x times a factor.
func Scale(x mat.Tensor, factor float32) mat.Tensor {
	return ScaleSpans(x, []Span{{0, Rows(x)}}, []float32{factor})
}

// ScaleSpans returns the rows of each sequence times a factor of its own.
func ScaleSpans(x mat.Tensor, spans []Span, factors []float32) mat.Tensor {
	checkSpans("ScaleSpans", spans, Rows(x))
	if len(factors) != len(spans) {
		fail("ScaleSpans", "%d factors for %d sequences", len(factors), len(spans))
	}
	return run(&scaling{x, spans, factors})
}

type scaling struct {
	x       mat.Tensor
	spans   []Span
	factors []float32
}

func (o *scaling) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *scaling) forward(m *memory) *Tensor { return o.times(m, Data(o.x)) }

func (o *scaling) backward(m *memory, gradient []float32) { m.accumulate(o.x, o.times(m, gradient)) }

func (o *scaling) times(m *memory, values []float32) *Tensor {
	y, cols := m.like(o.x, values), Cols(o.x)
	for i, s := range o.spans {
		simd.Scale(o.factors[i], y.data[s.Start*cols:s.End*cols])
	}
	return y
}
