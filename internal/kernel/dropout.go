package kernel

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// Mask says which elements dropout keeps: element i iff hash(Key, i) ≥ P, taking
// the hash as a number in [0, 1). Kept elements are scaled by 1/(1-P), as
// torch.nn.Dropout does. The mask is a function of Key and i alone, so the
// backward pass computes it again instead of storing it, and it does not depend
// on how work is divided. P = 0 keeps everything.
type Mask struct {
	P   float32 // probability of dropping an element, 0 ≤ P < 1
	Key uint64  // one key, one mask: two operators with one key drop the same elements
}

// check panics unless 0 ≤ P < 1.
func (m Mask) check(op string) {
	if !(m.P >= 0 && m.P < 1) {
		fail(op, "dropout probability is %v, want 0 ≤ p < 1", m.P)
	}
}

// apply writes src to dst, dropped and scaled; dst may be src. first is the index
// of src[0] in the operator's elements.
func (m Mask) apply(dst, src []float32, first int) {
	if m.P == 0 {
		copy(dst, src)
		return
	}
	simd.Dropout(dst, src, m.Key, first, m.P, 1/(1-m.P))
}

// Dropout drops elements of x by mask. With P = 0 it returns x itself.
func Dropout(x mat.Tensor, mask Mask) mat.Tensor {
	mask.check("Dropout")
	if mask.P == 0 {
		return x
	}
	return run(&dropout{x: x, mask: mask})
}

type dropout struct {
	x    mat.Tensor
	mask Mask
}

func (o *dropout) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *dropout) forward(m *memory) *Tensor {
	y := m.take(Rows(o.x), Cols(o.x))
	o.each(y.data, Data(o.x))
	return y
}

func (o *dropout) backward(m *memory, gradient []float32) {
	gx := m.take(Rows(o.x), Cols(o.x))
	o.each(gx.data, gradient)
	m.accumulate(o.x, gx)
}

func (o *dropout) each(dst, src []float32) {
	elementwise(len(src), func(from, to int) { o.mask.apply(dst[from:to], src[from:to], from) })
}
