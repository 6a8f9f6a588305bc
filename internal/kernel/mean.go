package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// MeanRows returns the mean of the rows of each sequence, [len(spans), d]. Sequence i are
// the rows spans[i] of x; none may be empty.
func MeanRows(x mat.Tensor, spans []Span) mat.Tensor {
	checkSpans("MeanRows", spans, Rows(x))
	for i, s := range spans {
		if s.Len() == 0 {
			fail("MeanRows", "sequence %d has no rows", i)
		}
	}
	return run(&meanRows{x, slices.Clone(spans)})
}

type meanRows struct {
	x     mat.Tensor
	spans []Span
}

func (o *meanRows) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *meanRows) forward(m *memory) *Tensor {
	x := viewOf(o.x)
	y := m.take(len(o.spans), x.cols)
	for i, s := range o.spans {
		row := y.view().row(i)
		copy(row, columnSums(x.rowsFrom(s.Start, s.End)))
		simd.Scale(1/float32(s.Len()), row)
	}
	return y
}

func (o *meanRows) backward(m *memory, gradient []float32) {
	gx := m.take(Rows(o.x), Cols(o.x))
	for i, s := range o.spans {
		for r := s.Start; r < s.End; r++ {
			row := gx.view().row(r)
			copy(row, gradient[i*len(row):])
			simd.Scale(1/float32(s.Len()), row)
		}
	}
	m.accumulate(o.x, gx)
}
