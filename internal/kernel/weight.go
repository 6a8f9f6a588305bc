package kernel

import (
	"sync"

	"github.com/gopeft/gopeft/internal/simd"
)

// Values are frozen numbers, row by row, in the width in which a checkpoint holds
// them. They are not copied and must not change; they may be a read-only mapping.
type Values = simd.Values

// Weight is a frozen weight of a torch Linear, [out, in], held in parts that lie one
// under the other. It is packed for the forward pass at its first use and kept so. The
// backward pass packs it per call into a pooled buffer; where it is rounded, which costs
// more and gives half the bytes, it keeps that too. A Weight may be used by many
// goroutines.
type Weight struct {
	parts   []Values
	out, in int
	rounded bool

	forward, backward packedOnce
}

// packedOnce is a matrix that is packed at its first use.
type packedOnce struct {
	once   sync.Once
	matrix simd.Matrix
}

// Precision says what a product with a weight multiplies. Sums are float32.
type Precision int

const (
	// Float32 multiplies values as they are.
	Float32 Precision = iota
	// BFloat16 rounds both operands to bfloat16, in the forward and in the backward pass.
	BFloat16
)

// String returns torch's name.
func (p Precision) String() string { return [...]string{"float32", "bfloat16"}[p] }

// NewWeight returns the weight whose rows, of in values each, are those of the parts.
func NewWeight(in int, precision Precision, parts ...Values) *Weight {
	w := &Weight{parts: parts, in: in, rounded: precision == BFloat16}
	for i, values := range parts {
		if in < 1 || values.Len() == 0 || values.Len()%in != 0 {
			fail("NewWeight", "part %d has %d values, want rows of %d", i, values.Len(), in)
		}
		w.out += values.Len() / in
	}
	if w.out == 0 {
		fail("NewWeight", "no parts")
	}
	return w
}

// Out returns the number of rows of the weight: the width of Linear's result.
func (w *Weight) Out() int { return w.out }

// In returns the number of columns of the weight: the width of Linear's input.
func (w *Weight) In() int { return w.in }

// multiply sets y [R, out] to x [R, in] times the transposed weight, plus bias, which may be nil.
func (w *Weight) multiply(y, x view, bias []float32) {
	w.forward.once.Do(func() { w.pack(&w.forward.matrix, true) })
	w.product(&w.forward.matrix, y, x, bias)
}

// multiplyBack sets gx [R, in] to gy [R, out] times the weight.
func (w *Weight) multiplyBack(gx, gy view) {
	if w.rounded {
		w.backward.once.Do(func() { w.pack(&w.backward.matrix, false) })
		w.product(&w.backward.matrix, gx, gy, nil)
		return
	}
	right := matrices.Get().(*simd.Matrix)
	defer matrices.Put(right)
	w.pack(right, false)
	w.product(right, gx, gy, nil)
}

func (w *Weight) pack(into *simd.Matrix, transposed bool) {
	into.PackValues(w.in, transposed, w.rounded, w.parts...)
}

func (w *Weight) product(right *simd.Matrix, dst, a view, bias []float32) {
	multiply := right.Mul
	if w.rounded {
		multiply = right.MulRounded
	}
	multiply(dst.data, dst.stride, a.data, a.stride, dst.rows, bias, false)
}
