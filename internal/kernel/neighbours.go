package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
)

// Neighbours returns for each row of x [R, d] the size rows around it in its sequence, beside
// each other: [R, size·d]. Sequence i are the rows spans[i]; rows before its first and behind
// its last are zeros. Size is odd. A convolution over positions is a linear of that.
func Neighbours(x mat.Tensor, spans []Span, size int) mat.Tensor {
	checkSpans("Neighbours", spans, Rows(x))
	if size < 1 || size%2 == 0 {
		fail("Neighbours", "size is %d, want an odd number", size)
	}
	return run(&neighbours{x, slices.Clone(spans), size})
}

type neighbours struct {
	x     mat.Tensor
	spans []Span
	size  int
}

func (o *neighbours) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *neighbours) forward(m *memory) *Tensor {
	x, y := viewOf(o.x), m.zeros(Rows(o.x), o.size*Cols(o.x))
	o.each(y.view(), func(part []float32, row int) { copy(part, x.row(row)) })
	return y
}

func (o *neighbours) backward(m *memory, gradient []float32) {
	gx := m.zeros(Rows(o.x), Cols(o.x))
	whole := view{gradient, Rows(o.x), o.size * Cols(o.x), o.size * Cols(o.x)}
	o.each(whole, func(part []float32, row int) { addTo(gx.view().row(row), part) })
	m.accumulate(o.x, gx)
}

// each calls f with every part of the rows of y [R, size·d], in order, and with the row of x
// that it is.
func (o *neighbours) each(y view, f func(part []float32, row int)) {
	d := Cols(o.x)
	for _, s := range o.spans {
		for r := s.Start; r < s.End; r++ {
			for i := range o.size {
				if row := r + i - o.size/2; row >= s.Start && row < s.End {
					f(y.row(r)[i*d:][:d], row)
				}
			}
		}
	}
}
