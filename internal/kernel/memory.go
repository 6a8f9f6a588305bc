package kernel

import "github.com/nlpodyssey/spago/mat"

// memory is where an operator's values and gradients come from, and what it knows of
// who needs them. It is used by the goroutine alone that runs the operator.
type memory struct {
	pool      *Pool
	tracked   bool // a backward pass may follow
	buffers   []*Tensor
	kept      []*Tensor
	gradients []delivery
}

type delivery struct {
	to, gradient mat.Tensor
}

// take returns a tensor whose values are not set: for a result or a gradient.
func (m *memory) take(rows, cols int) *Tensor { return m.pool.tensor(rows, cols) }

// zeros returns a tensor of zeros.
func (m *memory) zeros(rows, cols int) *Tensor {
	t := m.take(rows, cols)
	if t.loan.slab != nil {
		clear(t.data)
	}
	return t
}

// like returns a tensor of the shape of x with a copy of values.
func (m *memory) like(x mat.Tensor, values []float32) *Tensor {
	t := m.take(Rows(x), Cols(x))
	copy(t.data, values)
	return t
}

// buffer returns a tensor whose values are not set, which goes back when the pass is
// over: after the forward pass, unless it is kept.
func (m *memory) buffer(rows, cols int) *Tensor {
	t := m.take(rows, cols)
	m.buffers = append(m.buffers, t)
	return t
}

// keep notes, in the forward pass, that the backward pass reads the values of a tensor:
// of an operand, of the result or of a buffer. All others may be gone by then.
func (m *memory) keep(x mat.Tensor) {
	t, ok := x.Value().(*Tensor)
	if !m.tracked || !ok {
		return
	}
	t.use()
	m.kept = append(m.kept, t)
}

// accumulate hands a gradient to an operand when the backward pass is over: the
// operand's own pass, which begins then, takes away what this one reads. The gradient
// belongs to the operand; no other may get it.
func (m *memory) accumulate(to, gradient mat.Tensor) {
	m.gradients = append(m.gradients, delivery{to, gradient})
}

// endPass gives buffers back.
func (m *memory) endPass() {
	for _, t := range m.buffers {
		t.release()
	}
	m.buffers = nil
}

// endBackward gives back what was kept, and hands on the gradients.
func (m *memory) endBackward() {
	m.endPass()
	for _, t := range m.kept {
		t.unuse()
	}
	m.kept = nil
	for _, d := range m.gradients {
		d.to.AccGrad(d.gradient)
	}
	m.gradients = nil
}

// poolOf returns the pool of the first operand that has one.
func poolOf(operands []mat.Tensor) *Pool {
	for _, x := range operands {
		if t, ok := x.Value().(*Tensor); ok && t.pool != nil {
			return t.pool
		}
	}
	return nil
}

// Release says that nobody will read the values of x again, but for the backward passes of
// operators that were made of x. Their memory goes back to the pool, if they have it from one;
// a parameter's stays. To release a tensor again does nothing.
func Release(x mat.Tensor) {
	if t, ok := x.Value().(*Tensor); ok {
		t.release()
	}
}

// Replace releases old, unless it is next itself, and returns next: x = Replace(x, f(x)).
func Replace(old, next mat.Tensor) mat.Tensor {
	if old.Value() != next.Value() {
		Release(old)
	}
	return next
}

// WithPool returns x, for results that are made of it to take their memory from the pool;
// x itself, if the pool is nil.
func WithPool(x mat.Tensor, pool *Pool) mat.Tensor {
	if pool == nil {
		return x
	}
	return run(&pooled{x, pool})
}

type pooled struct {
	x    mat.Tensor
	pool *Pool
}

func (o *pooled) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *pooled) forward(m *memory) *Tensor {
	m.pool = o.pool
	m.keep(o.x)
	y := New(Rows(o.x), Cols(o.x), Data(o.x))
	y.pool = o.pool
	return y
}

func (o *pooled) backward(m *memory, gradient []float32) { m.accumulate(o.x, m.like(o.x, gradient)) }
