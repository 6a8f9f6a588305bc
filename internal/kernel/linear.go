package kernel

import (
	"sync"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/simd"
)

// Weight is a frozen weight of a torch Linear, [out, in]. It is packed for the
// forward pass at its first use and kept so; the backward pass packs it per call
// into a pooled buffer. A Weight may be used by many goroutines.
type Weight struct {
	data    []float32
	out, in int
	once    sync.Once
	packed  *simd.Matrix
}

// NewWeight returns a weight over data, row by row, which is not copied and
// must not change; it may be a read-only mapping of a file.
func NewWeight(data []float32, out, in int) *Weight {
	if out < 1 || in < 1 || len(data) != out*in {
		fail("NewWeight", "%d values for shape [%d %d]", len(data), out, in)
	}
	return &Weight{data: data, out: out, in: in}
}

// Out returns the number of rows of the weight: the width of Linear's result.
func (w *Weight) Out() int { return w.out }

// In returns the number of columns of the weight: the width of Linear's input.
func (w *Weight) In() int { return w.in }

func (w *Weight) view() view { return view{w.data, w.out, w.in, w.in} }

// forward returns the weight packed for x·Wᵀ.
func (w *Weight) forward() *simd.Matrix {
	w.once.Do(func() { w.packed = packTransposed(w.view()) })
	return w.packed
}

// Linear returns x·Wᵀ + bias, [R, out], for x [R, in]; bias has out values, or is
// nil. Weight and bias are frozen.
func Linear(x mat.Tensor, w *Weight, bias []float32) mat.Tensor {
	if Cols(x) != w.in {
		fail("Linear", "x is %v, the weight is [%d %d]", x.Shape(), w.out, w.in)
	}
	if bias != nil && len(bias) != w.out {
		fail("Linear", "bias has %d values, the weight is [%d %d]", len(bias), w.out, w.in)
	}
	return run(&linear{x, w, bias})
}

type linear struct {
	x    mat.Tensor
	w    *Weight
	bias []float32
}

func (o *linear) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *linear) forward(bool) *Tensor {
	y := New(Rows(o.x), o.w.out, nil)
	multiply(y.view(), viewOf(o.x), o.w.forward(), o.bias)
	return y
}

func (o *linear) backward(gradient []float32) {
	gx := New(Rows(o.x), o.w.in, nil)
	multiplyNN(gx.view(), view{gradient, Rows(o.x), o.w.out, o.w.out}, o.w.view())
	accumulate(o.x, gx)
}

// LinearParam returns x·wᵀ + b, [R, out], for x [R, in] with a trained weight w
// [out, in] and a trained bias b [1, out] or nil.
func LinearParam(x mat.Tensor, w, b *nn.Param) mat.Tensor {
	if Cols(x) != Cols(w) {
		fail("LinearParam", "x is %v, w is %v", x.Shape(), w.Shape())
	}
	if b != nil && (Rows(b) != 1 || Cols(b) != Rows(w)) {
		fail("LinearParam", "b is %v, want [1 %d]", b.Shape(), Rows(w))
	}
	return run(&linearParam{x, w, b})
}

type linearParam struct {
	x    mat.Tensor
	w, b *nn.Param
}

func (o *linearParam) operands() []mat.Tensor {
	if o.b == nil {
		return []mat.Tensor{o.x, o.w}
	}
	return []mat.Tensor{o.x, o.w, o.b}
}

func (o *linearParam) forward(bool) *Tensor {
	y := New(Rows(o.x), Rows(o.w), nil)
	var bias []float32
	if o.b != nil {
		bias = Data(o.b)
	}
	multiplyNT(y.view(), viewOf(o.x), viewOf(o.w), bias)
	return y
}

func (o *linearParam) backward(gradient []float32) {
	gy := view{gradient, Rows(o.x), Rows(o.w), Rows(o.w)}
	if o.x.RequiresGrad() {
		gx := New(Rows(o.x), Cols(o.x), nil)
		multiplyNN(gx.view(), gy, viewOf(o.w))
		accumulate(o.x, gx)
	}
	if o.w.RequiresGrad() {
		gw := New(Rows(o.w), Cols(o.w), nil)
		multiplyTN(gw.view(), gy, viewOf(o.x))
		accumulate(o.w, gw)
	}
	if o.b != nil && o.b.RequiresGrad() {
		accumulate(o.b, New(1, gy.cols, columnSums(gy)))
	}
}
