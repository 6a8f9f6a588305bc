package kernel

import "github.com/nlpodyssey/spago/mat"

// Linear returns x·Wᵀ + bias, [R, out], for x [R, in], plus the deltas; bias has out
// values, or is nil. Weight and bias are frozen.
func Linear(x mat.Tensor, w *Weight, bias []float32, deltas ...LowRank) mat.Tensor {
	if Cols(x) != w.in {
		fail("Linear", "x is %v, the weight is [%d %d]", x.Shape(), w.out, w.in)
	}
	if bias != nil && len(bias) != w.out {
		fail("Linear", "bias has %d values, the weight is [%d %d]", len(bias), w.out, w.in)
	}
	for _, d := range deltas {
		d.check(Rows(x), w)
	}
	return run(&linear{x: x, w: w, bias: bias, deltas: deltas})
}

type linear struct {
	x      mat.Tensor
	w      *Weight
	bias   []float32
	deltas []LowRank
	low    []*Tensor // of each delta: what its B is multiplied with
}

func (o *linear) operands() []mat.Tensor {
	operands := []mat.Tensor{o.x}
	for _, d := range o.deltas {
		operands = append(operands, d.A, d.B)
	}
	return operands
}

func (o *linear) forward(m *memory) *Tensor {
	y := m.take(Rows(o.x), o.w.out)
	o.w.multiply(y.view(), viewOf(o.x), o.bias)
	for _, d := range o.deltas {
		low := m.buffer(Rows(o.x), Rows(d.A))
		d.add(m, y.view(), viewOf(o.x), low.view())
		if d.A.RequiresGrad() {
			m.keep(o.x)
		}
		if d.B.RequiresGrad() {
			m.keep(low)
		}
		o.low = append(o.low, low)
	}
	return y
}

func (o *linear) backward(m *memory, gradient []float32) {
	gy := view{gradient, Rows(o.x), o.w.out, o.w.out}
	var gx *Tensor
	if o.x.RequiresGrad() {
		gx = m.take(Rows(o.x), o.w.in)
		o.w.multiplyBack(gx.view(), gy)
	}
	for i, d := range o.deltas {
		d.backward(m, gy, o.x, o.low[i].view(), gx)
	}
	if gx != nil {
		m.accumulate(o.x, gx)
	}
}
