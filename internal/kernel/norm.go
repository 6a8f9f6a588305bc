package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/simd"
)

// AddLayerNorm returns LayerNorm(x + residual)·gamma + beta of every row, [R, d],
// with frozen gamma and beta [d]; residual may be nil. The variance is the biased
// one, eps is added to it: torch.nn.LayerNorm.
func AddLayerNorm(x, residual mat.Tensor, gamma, beta []float32, eps float32) mat.Tensor {
	checkLayerNorm("AddLayerNorm", x, residual, gamma, beta)
	return run(&layerNorm{x: x, residual: residual, gamma: gamma, beta: beta, eps: eps})
}

// AddLayerNormParam is [AddLayerNorm] with trained gamma and beta, [1, d].
func AddLayerNormParam(x, residual mat.Tensor, gamma, beta *nn.Param, eps float32) mat.Tensor {
	checkLayerNorm("AddLayerNormParam", x, residual, Data(gamma), Data(beta))
	return run(&layerNorm{x: x, residual: residual, gamma: Data(gamma), beta: Data(beta), eps: eps, trained: []*nn.Param{gamma, beta}})
}

func checkLayerNorm(op string, x, residual mat.Tensor, gamma, beta []float32) {
	d := Cols(x)
	if residual != nil && !slices.Equal(x.Shape(), residual.Shape()) {
		fail(op, "x is %v, the residual %v", x.Shape(), residual.Shape())
	}
	if len(gamma) != d || len(beta) != d || d == 0 {
		fail(op, "x is %v, gamma has %d values and beta %d", x.Shape(), len(gamma), len(beta))
	}
}

type layerNorm struct {
	x, residual mat.Tensor
	gamma, beta []float32
	eps         float32
	trained     []*nn.Param // gamma and beta; nil: they are frozen
	normal      *Tensor     // the rows before gamma and beta, kept for the gradient
	inverse     *Tensor     // 1/deviation of each row
}

func (o *layerNorm) operands() []mat.Tensor {
	operands := []mat.Tensor{o.x}
	if o.residual != nil {
		operands = append(operands, o.residual)
	}
	for _, p := range o.trained {
		operands = append(operands, p)
	}
	return operands
}

func (o *layerNorm) forward(m *memory) *Tensor {
	rows, d, x := Rows(o.x), Cols(o.x), Data(o.x)
	y := m.take(rows, d)
	if m.tracked {
		o.normal, o.inverse = m.buffer(rows, d), m.buffer(rows, 1)
		m.keep(o.normal)
		m.keep(o.inverse)
	}
	var residual []float32
	if o.residual != nil {
		residual = Data(o.residual)
	}
	eachRow(rows, d, func(from, to int) {
		spare := make([]float32, d)
		for r := from; r < to; r++ {
			normal := spare
			if m.tracked {
				normal = o.normal.data[r*d:][:d]
			}
			var added []float32
			if residual != nil {
				added = residual[r*d:][:d]
			}
			inverse := simd.LayerNormRow(y.data[r*d:][:d], normal, x[r*d:][:d], added, o.gamma, o.beta, o.eps)
			if m.tracked {
				o.inverse.data[r] = inverse
			}
		}
	})
	return y
}

func (o *layerNorm) backward(m *memory, gradient []float32) {
	rows, d := Rows(o.x), Cols(o.x)
	if o.trained != nil {
		o.parameterGradients(m, view{gradient, rows, d, d})
	}
	gx := m.take(rows, d)
	eachRow(rows, d, func(from, to int) {
		for r := from; r < to; r++ {
			simd.LayerNormBackwardRow(gx.data[r*d:][:d], gradient[r*d:][:d], o.normal.data[r*d:][:d], o.gamma, o.inverse.data[r])
		}
	})
	if o.residual != nil && o.residual.RequiresGrad() {
		m.accumulate(o.residual, m.like(o.residual, gx.data))
	}
	if o.x.RequiresGrad() {
		m.accumulate(o.x, gx)
		return
	}
	gx.release()
}

func (o *layerNorm) parameterGradients(m *memory, gy view) {
	gamma, beta := o.trained[0], o.trained[1]
	if gamma.RequiresGrad() {
		m.accumulate(gamma, m.like(gamma, columnProducts(gy, o.normal.view())))
	}
	if beta.RequiresGrad() {
		m.accumulate(beta, m.like(beta, columnSums(gy)))
	}
}
