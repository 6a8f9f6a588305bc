package kernel

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/simd"
)

// LinearPart is a trained torch Linear: a weight [out, in] and a bias [1, out] or nil.
type LinearPart struct{ Weight, Bias *nn.Param }

// LinearParam returns x·wᵀ + b, [R, out], for x [R, in] with a trained weight w
// [out, in] and a trained bias b [1, out] or nil.
func LinearParam(x mat.Tensor, w, b *nn.Param) mat.Tensor {
	return LinearParams(x, LinearPart{w, b})
}

// LinearParams returns what several trained linears make of x, beside each other in
// their order: [R, Σ out].
func LinearParams(x mat.Tensor, parts ...LinearPart) mat.Tensor {
	o := &linearParam{x: x, parts: parts}
	for _, p := range parts {
		if Cols(x) != Cols(p.Weight) {
			fail("LinearParam", "x is %v, w is %v", x.Shape(), p.Weight.Shape())
		}
		if b := p.Bias; b != nil && (Rows(b) != 1 || Cols(b) != Rows(p.Weight)) {
			fail("LinearParam", "b is %v, want [1 %d]", b.Shape(), Rows(p.Weight))
		}
		o.out += Rows(p.Weight)
	}
	if o.out == 0 {
		fail("LinearParam", "no parts")
	}
	return run(o)
}

type linearParam struct {
	x     mat.Tensor
	parts []LinearPart
	out   int
}

func (o *linearParam) operands() []mat.Tensor {
	operands := []mat.Tensor{o.x}
	for _, p := range o.parts {
		operands = append(operands, p.Weight)
		if p.Bias != nil {
			operands = append(operands, p.Bias)
		}
	}
	return operands
}

// eachPart calls f with the columns of v that each part made, or will.
func (o *linearParam) eachPart(v view, f func(p LinearPart, columns view)) {
	at := 0
	for _, p := range o.parts {
		f(p, v.columns(at, at+Rows(p.Weight)))
		at += Rows(p.Weight)
	}
}

func (o *linearParam) forward(m *memory) *Tensor {
	y := m.take(Rows(o.x), o.out)
	o.eachPart(y.view(), func(p LinearPart, y view) {
		if p.Weight.RequiresGrad() {
			m.keep(o.x)
		}
		var bias []float32
		if p.Bias != nil {
			bias = Data(p.Bias)
		}
		multiplyNT(y, viewOf(o.x), viewOf(p.Weight), bias)
	})
	return y
}

func (o *linearParam) backward(m *memory, gradient []float32) {
	gy := view{gradient, Rows(o.x), o.out, o.out}
	if o.x.RequiresGrad() {
		m.accumulate(o.x, o.inputGradient(m, gy))
	}
	o.eachPart(gy, func(p LinearPart, gy view) {
		if p.Weight.RequiresGrad() {
			gw := m.take(Rows(p.Weight), Cols(p.Weight))
			multiplyTN(gw.view(), gy, viewOf(o.x), false)
			m.accumulate(p.Weight, gw)
		}
		if p.Bias != nil && p.Bias.RequiresGrad() {
			m.accumulate(p.Bias, m.like(p.Bias, columnSums(gy)))
		}
	})
}

// inputGradient adds what the parts give in their order.
func (o *linearParam) inputGradient(m *memory, gy view) *Tensor {
	gx := m.take(Rows(o.x), Cols(o.x))
	right := matrices.Get().(*simd.Matrix)
	defer matrices.Put(right)
	isFirst := true
	o.eachPart(gy, func(p LinearPart, gy view) {
		w := viewOf(p.Weight)
		right.Pack(w.data, w.stride, w.rows, w.cols)
		right.Mul(gx.data, Cols(gx), gy.data, gy.stride, gy.rows, nil, !isFirst)
		isFirst = false
	})
	return gx
}
