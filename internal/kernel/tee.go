package kernel

import "github.com/nlpodyssey/spago/mat"

// Tee returns x again, for one more consumer than the two that a node with a gradient may
// have: what L layers read goes down a chain, x₁ = x, x₂ = Tee(x₁), …, of which each link has
// a layer and the next link. Without a gradient it is x itself.
func Tee(x mat.Tensor) mat.Tensor {
	if !x.RequiresGrad() {
		return x
	}
	return run(&tee{x})
}

type tee struct{ x mat.Tensor }

func (o *tee) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *tee) forward(m *memory) *Tensor {
	m.keep(o.x)
	y := New(Rows(o.x), Cols(o.x), Data(o.x))
	y.pool = m.pool
	return y
}

func (o *tee) backward(m *memory, gradient []float32) { m.accumulate(o.x, m.like(o.x, gradient)) }
