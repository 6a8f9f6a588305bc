package kernel

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// Bias is a vector that is added to columns of some rows: Scale·Values - Frozen.
type Bias struct {
	Values mat.Tensor // [1, n]
	Scale  float32
	Frozen []float32 // [n], whose place Values takes where it was added before; nil: none
	Column int       // of the first of the n
	Rows   []Span    // in order and apart
}

// AddBias returns x [R, out] plus the biases.
func AddBias(x mat.Tensor, biases ...Bias) mat.Tensor {
	for _, b := range biases {
		n := Cols(b.Values)
		if Rows(b.Values) != 1 || b.Column < 0 || b.Column+n > Cols(x) || b.Frozen != nil && len(b.Frozen) != n {
			fail("AddBias", "x is %v, a bias %v at column %d in place of %d values", x.Shape(), b.Values.Shape(), b.Column, len(b.Frozen))
		}
		checkRows("AddBias", "a bias", b.Rows, Rows(x))
	}
	return run(&addBias{x, biases})
}

type addBias struct {
	x      mat.Tensor
	biases []Bias
}

func (o *addBias) operands() []mat.Tensor {
	operands := []mat.Tensor{o.x}
	for _, b := range o.biases {
		operands = append(operands, b.Values)
	}
	return operands
}

func (o *addBias) forward(m *memory) *Tensor {
	y := m.like(o.x, Data(o.x))
	for _, b := range o.biases {
		added := make([]float32, Cols(b.Values))
		simd.Axpy(b.Scale, Data(b.Values), added)
		if b.Frozen != nil {
			simd.Axpy(-1, b.Frozen, added)
		}
		eachPart(y.view(), y.view(), b.Column, len(added), b.Rows, func(row, _ []float32) { addTo(row, added) })
	}
	return y
}

func (o *addBias) backward(m *memory, gradient []float32) {
	gy := view{gradient, Rows(o.x), Cols(o.x), Cols(o.x)}
	for _, b := range o.biases {
		if !b.Values.RequiresGrad() {
			continue
		}
		sums := make([]float64, Cols(b.Values))
		eachPart(gy, gy, b.Column, len(sums), b.Rows, func(row, _ []float32) {
			for i, g := range row {
				sums[i] += float64(g)
			}
		})
		gb := m.take(1, len(sums))
		for i, sum := range sums {
			gb.data[i] = b.Scale * float32(sum)
		}
		m.accumulate(b.Values, gb)
	}
	if o.x.RequiresGrad() {
		m.accumulate(o.x, m.like(o.x, gradient))
	}
}
