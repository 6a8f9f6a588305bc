package kernel

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// GatedSiLU returns SiLU(g)·u, [R, n], for x [R, 2·n] whose rows hold g, then u
// (Shazeer 2020, arXiv 2002.05202, SwiGLU).
func GatedSiLU(x mat.Tensor) mat.Tensor { return runGated(x, simd.SiLU, simd.SiLUGradient) }

// GatedGELU is [GatedSiLU] with GELU by erf.
func GatedGELU(x mat.Tensor) mat.Tensor { return runGated(x, simd.GELU, simd.GELUGradient) }

// GatedGELUTanh is [GatedSiLU] with GELU by tanh.
func GatedGELUTanh(x mat.Tensor) mat.Tensor {
	return runGated(x, simd.GELUTanh, simd.GELUTanhGradient)
}

func runGated(x mat.Tensor, f func(y, x []float32), df func(gx, gy, x []float32)) mat.Tensor {
	if Cols(x)%2 != 0 {
		fail("Gated", "x is %v, which is not two halves", x.Shape())
	}
	return run(&gated{x: x, f: f, df: df})
}

type gated struct {
	x  mat.Tensor
	f  func(y, x []float32)
	df func(gx, gy, x []float32)
}

func (o *gated) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *gated) forward(m *memory) *Tensor {
	m.keep(o.x)
	x, n := viewOf(o.x), Cols(o.x)/2
	y := m.take(x.rows, n)
	eachRow(x.rows, x.cols, func(from, to int) {
		for r := from; r < to; r++ {
			row := y.view().row(r)
			o.f(row, x.row(r)[:n])
			simd.Mul(row, x.row(r)[n:])
		}
	})
	return y
}

func (o *gated) backward(m *memory, gradient []float32) {
	x, n := viewOf(o.x), Cols(o.x)/2
	gx := m.take(x.rows, x.cols)
	eachRow(x.rows, x.cols, func(from, to int) {
		for r := from; r < to; r++ {
			gate, up := x.row(r)[:n], x.row(r)[n:]
			gGate, gUp := gx.view().row(r)[:n], gx.view().row(r)[n:]
			gy := gradient[r*n:][:n]
			copy(gUp, gy)
			simd.Mul(gUp, up)
			o.df(gGate, gUp, gate)
			o.f(gUp, gate)
			simd.Mul(gUp, gy)
		}
	})
	m.accumulate(o.x, gx)
}
