package kernel

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// GELU returns x·Φ(x), with the exact normal distribution function Φ:
// torch.nn.GELU() and transformers' "gelu".
func GELU(x mat.Tensor) mat.Tensor {
	return run(&activation{x: x, f: simd.GELU, df: simd.GELUGradient})
}

// GELUTanh returns x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2: torch.nn.GELU("tanh") and
// transformers' "gelu_new", "gelu_pytorch_tanh" and "gelu_fast".
func GELUTanh(x mat.Tensor) mat.Tensor {
	return run(&activation{x: x, f: simd.GELUTanh, df: simd.GELUTanhGradient})
}

// SiLU returns x/(1+e⁻ˣ): torch.nn.SiLU, transformers' "silu" and "swish".
func SiLU(x mat.Tensor) mat.Tensor {
	return run(&activation{x: x, f: simd.SiLU, df: simd.SiLUGradient})
}

// Tanh returns the hyperbolic tangent of every element.
func Tanh(x mat.Tensor) mat.Tensor {
	return run(&activation{x: x, f: simd.Tanh, df: simd.TanhGradient, fromResult: true})
}

// SoftCap returns cap·tanh(x/cap) of every element, for a cap above 0.
func SoftCap(x mat.Tensor, cap float32) mat.Tensor {
	if !(cap > 0) {
		fail("SoftCap", "the cap is %v", cap)
	}
	return run(&activation{x: x, fromResult: true, f: func(y, x []float32) {
		copy(y, x)
		simd.Scale(1/cap, y)
		simd.Tanh(y, y)
		simd.Scale(cap, y)
	}, df: func(gx, gy, y []float32) {
		for i, v := range y {
			v /= cap
			gx[i] = gy[i] * (1 - v*v)
		}
	}})
}

// ReLU returns max(x, 0). Its derivative at 0 is 0, as in torch.
func ReLU(x mat.Tensor) mat.Tensor {
	return run(&activation{x: x, f: simd.ReLU, df: simd.ReLUGradient, fromResult: true})
}

// activation applies a function to every element.
type activation struct {
	x          mat.Tensor
	f          func(y, x []float32)
	df         func(gx, gy, kept []float32)
	fromResult bool // df wants the result of f, not its argument
	kept       mat.Tensor
}

func (o *activation) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *activation) forward(m *memory) *Tensor {
	x, y := Data(o.x), m.take(Rows(o.x), Cols(o.x))
	elementwise(len(x), func(from, to int) { o.f(y.data[from:to], x[from:to]) })
	o.kept = o.x
	if o.fromResult {
		o.kept = y
	}
	m.keep(o.kept)
	return y
}

func (o *activation) backward(m *memory, gradient []float32) {
	kept, gx := Data(o.kept), m.take(Rows(o.x), Cols(o.x))
	elementwise(len(kept), func(from, to int) { o.df(gx.data[from:to], gradient[from:to], kept[from:to]) })
	m.accumulate(o.x, gx)
}
