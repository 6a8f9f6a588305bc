package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// AddLayerNorm returns LayerNorm(x + residual)·gamma + beta of every row, [R, d],
// with frozen gamma and beta [d]; residual may be nil. The variance is the biased
// one, eps is added to it: torch.nn.LayerNorm.
func AddLayerNorm(x, residual mat.Tensor, gamma, beta []float32, eps float32) mat.Tensor {
	d := Cols(x)
	if residual != nil && !slices.Equal(x.Shape(), residual.Shape()) {
		fail("AddLayerNorm", "x is %v, the residual %v", x.Shape(), residual.Shape())
	}
	if len(gamma) != d || len(beta) != d || d == 0 {
		fail("AddLayerNorm", "x is %v, gamma has %d values and beta %d", x.Shape(), len(gamma), len(beta))
	}
	return run(&layerNorm{x: x, residual: residual, gamma: gamma, beta: beta, eps: eps})
}

type layerNorm struct {
	x, residual mat.Tensor
	gamma, beta []float32
	eps         float32
	normal      []float32 // the rows before gamma and beta, kept for the gradient
	inverse     []float32 // 1/deviation of each row
}

func (o *layerNorm) operands() []mat.Tensor {
	if o.residual == nil {
		return []mat.Tensor{o.x}
	}
	return []mat.Tensor{o.x, o.residual}
}

func (o *layerNorm) forward(tracked bool) *Tensor {
	rows, d, x := Rows(o.x), Cols(o.x), Data(o.x)
	pool := poolOf(o.operands()...)
	y := pool.unset(rows, d)
	if tracked {
		o.normal, o.inverse = pool.lend(rows*d), pool.lend(rows)
	}
	var residual []float32
	if o.residual != nil {
		residual = Data(o.residual)
	}
	eachRow(rows, d, func(from, to int) {
		spare := make([]float32, d)
		for r := from; r < to; r++ {
			normal := spare
			if tracked {
				normal = o.normal[r*d:][:d]
			}
			var added []float32
			if residual != nil {
				added = residual[r*d:][:d]
			}
			inverse := simd.LayerNormRow(y.data[r*d:][:d], normal, x[r*d:][:d], added, o.gamma, o.beta, o.eps)
			if tracked {
				o.inverse[r] = inverse
			}
		}
	})
	return y
}

func (o *layerNorm) backward(gradient []float32) {
	rows, d := Rows(o.x), Cols(o.x)
	pool := poolOf(o.operands()...)
	gx := pool.unset(rows, d)
	eachRow(rows, d, func(from, to int) {
		for r := from; r < to; r++ {
			simd.LayerNormBackwardRow(gx.data[r*d:][:d], gradient[r*d:][:d], o.normal[r*d:][:d], o.gamma, o.inverse[r])
		}
	})
	if o.residual == nil || !o.residual.RequiresGrad() {
		accumulate(o.x, gx)
		return
	}
	if o.x.RequiresGrad() {
		accumulate(o.x, pool.copyOf(rows, d, gx.data))
	}
	accumulate(o.residual, gx)
}

func (o *layerNorm) giveBack(pool *Pool) {
	pool.giveBack(o.normal)
	pool.giveBack(o.inverse)
}
