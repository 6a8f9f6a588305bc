package kernel

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// RMSNorm returns every row of x [R, d] divided by the root of its mean square plus eps,
// times a frozen gamma [d] (Zhang and Sennrich 2019, arXiv 1910.07467).
func RMSNorm(x mat.Tensor, gamma []float32, eps float32) mat.Tensor {
	if len(gamma) != Cols(x) || len(gamma) == 0 {
		fail("RMSNorm", "x is %v, gamma has %d values", x.Shape(), len(gamma))
	}
	return run(&rmsNorm{x: x, gammas: [][]float32{gamma}, width: len(gamma), eps: eps})
}

// QKNorm returns qkv [R, (H+2·G)·k], laid out as for [Attention], with its queries and
// keys normalised by [RMSNorm] and its values as they are. A gamma of k values
// normalises each head by itself, one of H·k queries (G·k keys) all of them together.
func QKNorm(qkv mat.Tensor, heads, keyHeads int, query, key []float32, eps float32) mat.Tensor {
	const op = "QKNorm"
	if heads < 1 || keyHeads < 1 || Cols(qkv) == 0 || Cols(qkv)%(heads+2*keyHeads) != 0 {
		fail(op, "qkv is %v, which is not heads of one size for %d heads and twice %d key heads", qkv.Shape(), heads, keyHeads)
	}
	size := Cols(qkv) / (heads + 2*keyHeads)
	o := &rmsNorm{x: qkv, width: (heads + keyHeads) * size, eps: eps}
	o.split(op, query, heads, size)
	o.split(op, key, keyHeads, size)
	return run(o)
}

// split divides heads into the parts that a gamma is for.
func (o *rmsNorm) split(op string, gamma []float32, heads, size int) {
	switch len(gamma) {
	case size:
		for range heads {
			o.gammas = append(o.gammas, gamma)
		}
	case heads * size:
		o.gammas = append(o.gammas, gamma)
	default:
		fail(op, "gamma has %d values, want %d or %d times that", len(gamma), size, heads)
	}
}

// rmsNorm normalises parts of each row that stand beside each other, each by itself. The
// columns behind them stay.
type rmsNorm struct {
	x      mat.Tensor
	gammas [][]float32 // of each part
	width  int         // of all parts
	eps    float32

	normal  *Tensor // the parts before gamma, [R, width], kept for the gradient
	inverse *Tensor // 1/root of each part, [R, parts]
}

func (o *rmsNorm) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *rmsNorm) forward(m *memory) *Tensor {
	x := viewOf(o.x)
	y := m.take(x.rows, x.cols)
	if m.tracked {
		o.normal, o.inverse = m.buffer(x.rows, o.width), m.buffer(x.rows, len(o.gammas))
		m.keep(o.normal)
		m.keep(o.inverse)
	}
	eachRow(x.rows, x.cols, func(from, to int) {
		for r := from; r < to; r++ {
			o.normalise(r, y.view().row(r), x.row(r), m.tracked)
		}
	})
	return y
}

func (o *rmsNorm) normalise(r int, y, x []float32, tracked bool) {
	at := 0
	for i, gamma := range o.gammas {
		to := at + len(gamma)
		normal := y[at:to]
		if tracked {
			normal = o.normal.view().row(r)[at:to]
		}
		inverse := simd.RMSNormRow(y[at:to], normal, x[at:to], nil, gamma, o.eps)
		if tracked {
			o.inverse.view().row(r)[i] = inverse
		}
		at = to
	}
	copy(y[at:], x[at:])
}

func (o *rmsNorm) backward(m *memory, gradient []float32) {
	gx := m.take(Rows(o.x), Cols(o.x))
	gy := view{gradient, Rows(o.x), Cols(o.x), Cols(o.x)}
	eachRow(gy.rows, gy.cols, func(from, to int) {
		for r := from; r < to; r++ {
			o.differentiate(r, gx.view().row(r), gy.row(r))
		}
	})
	m.accumulate(o.x, gx)
}

func (o *rmsNorm) differentiate(r int, gx, gy []float32) {
	normal, at := o.normal.view().row(r), 0
	for i, gamma := range o.gammas {
		to := at + len(gamma)
		simd.RMSNormBackwardRow(gx[at:to], gy[at:to], normal[at:to], gamma, o.inverse.view().row(r)[i])
		at = to
	}
	copy(gx[at:], gy[at:])
}
