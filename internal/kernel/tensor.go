package kernel

import (
	"sync"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
)

// Tensor is a [rows, cols] matrix of float32 that spago accepts as a
// mat.Matrix. It differs from mat.Dense in how it holds a gradient: the first
// gradient that arrives is taken over instead of cloned, and a gradient may
// concern a range of columns only. Grad returns a nil interface when there is
// no gradient.
type Tensor struct {
	*mat.Dense[float32]
	data []float32 // nil when they went back to the pool

	pool *Pool // of what is made of the tensor; nil: garbage-collected memory
	loan loan  // of the data; zero: they are not the pool's

	mu       sync.Mutex
	users    int  // whoever has the tensor, and backward passes that will read it
	released bool // whoever has it needs it no more
	gradient *Tensor
	// partial says which columns of gradient hold something; nil: all do.
	// It lets two gradients of which one is partial be added in either order
	// with the same bits: a column gets 0 + x nowhere.
	partial []bool
}

var _ mat.Matrix = (*Tensor)(nil)

// New returns a leaf that requires no gradient over data, row by row, which is
// not copied; nil data means zeros.
func New(rows, cols int, data []float32) *Tensor {
	if rows < 0 || cols < 0 {
		fail("New", "shape [%d %d] is negative", rows, cols)
	}
	if data == nil {
		data = make([]float32, rows*cols)
	}
	if len(data) != rows*cols {
		fail("New", "%d values for shape [%d %d]", len(data), rows, cols)
	}
	dense := mat.NewDense[float32](mat.WithShape(rows, cols), mat.WithBacking(data))
	return &Tensor{Dense: dense, data: data, users: 1}
}

// NewParam returns a trained leaf over data, which is not copied. (spago's
// nn.NewParam clones.)
func NewParam(rows, cols int, data []float32) *nn.Param {
	p := &nn.Param{Matrix: New(rows, cols, data)}
	p.SetRequiresGrad(true)
	return p
}

// Data returns the values of t, row by row. They are the tensor's own: treat
// them as read-only unless t is a leaf of yours.
func Data(t mat.Tensor) []float32 {
	value := t.Value()
	if own, ok := value.(*Tensor); ok {
		if own.data == nil {
			panic("kernel: the values of the tensor were released")
		}
		return own.data
	}
	return mat.Data[float32](value)
}

// Rows returns the number of rows of t.
func Rows(t mat.Tensor) int { return t.Shape()[0] }

// Cols returns the number of columns of t.
func Cols(t mat.Tensor) int { return t.Shape()[1] }

// Value returns the tensor itself.
func (t *Tensor) Value() mat.Tensor { return t }

// Grad returns the gradient accumulated so far, or nil.
func (t *Tensor) Grad() mat.Tensor {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gradient == nil {
		return nil
	}
	return t.gradient
}

// HasGrad reports whether a gradient has been accumulated.
func (t *Tensor) HasGrad() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gradient != nil
}

// ZeroGrad forgets the gradient, whose memory goes back to its pool.
func (t *Tensor) ZeroGrad() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gradient != nil {
		t.gradient.release()
	}
	t.gradient, t.partial = nil, nil
}

// use notes that a backward pass will read the values.
func (t *Tensor) use() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users++
}

// release notes that whoever has the tensor needs it no more.
func (t *Tensor) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.released {
		t.released = true
		t.leave()
	}
}

// unuse takes back a use.
func (t *Tensor) unuse() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave()
}

// leave gives the values back if it was the last user who left.
func (t *Tensor) leave() {
	if t.users--; t.users == 0 && t.loan.slab != nil {
		t.data = nil
		t.pool.giveBack(t.loan)
	}
}

// returnGradient gives back a gradient that is the pool's.
func (t *Tensor) returnGradient() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gradient != nil && t.gradient.loan.slab != nil {
		t.gradient.release()
		t.gradient = nil
	}
}

// AccGrad adds a gradient. A *Tensor is taken over when it is the first to
// arrive, and released when it is not: the caller gives it up. Anything else is copied.
func (t *Tensor) AccGrad(gradient mat.Tensor) {
	if part, ok := gradient.(*columnGradient); ok {
		t.accumulateColumns(part)
		return
	}
	if Rows(gradient) != Rows(t) || Cols(gradient) != Cols(t) {
		fail("AccGrad", "gradient is %v, the tensor is %v", gradient.Shape(), t.Shape())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gradient == nil {
		t.gradient = owned(gradient)
		return
	}
	if t.partial == nil {
		addTo(t.gradient.data, Data(gradient))
	} else {
		t.completeColumns(Data(gradient))
	}
	Release(gradient)
}

// owned returns the gradient itself if it is ours, else a copy.
func owned(gradient mat.Tensor) *Tensor {
	if own, ok := gradient.(*Tensor); ok {
		return own
	}
	return New(Rows(gradient), Cols(gradient), append([]float32(nil), Data(gradient)...))
}

// columnGradient is the gradient of the columns that begin at from.
type columnGradient struct {
	*Tensor
	from int
}

// accumulateColumns adds the gradient of some columns.
func (t *Tensor) accumulateColumns(part *columnGradient) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows, cols, width := Rows(t), Cols(t), Cols(part)
	if t.gradient == nil {
		m := memory{pool: part.pool}
		t.gradient, t.partial = m.zeros(rows, cols), make([]bool, cols)
	}
	for r := range rows {
		row := t.gradient.data[r*cols+part.from:][:width]
		for i, v := range part.data[r*width:][:width] {
			if t.partial == nil || t.partial[part.from+i] {
				row[i] += v
			} else {
				row[i] = v
			}
		}
	}
	if t.partial != nil {
		for i := range width {
			t.partial[part.from+i] = true
		}
	}
	part.release()
}

// completeColumns adds a whole gradient to a partial one.
func (t *Tensor) completeColumns(whole []float32) {
	cols := len(t.partial)
	for i, v := range whole {
		if t.partial[i%cols] {
			t.gradient.data[i] += v
		} else {
			t.gradient.data[i] = v
		}
	}
	t.partial = nil
}
