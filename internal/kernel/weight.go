package kernel

import (
	"sync"
	"sync/atomic"

	"github.com/gopeft/gopeft/internal/simd"
)

// Values are frozen numbers, row by row, in the width in which a checkpoint holds
// them. They are not copied and must not change; they may be a read-only mapping.
type Values = simd.Values

// Weight is a frozen weight of a torch Linear, [out, in], held in parts that lie one
// under the other. A product needs it packed. The forward pass keeps what it packed at
// its first product for all that follow, unless the weight is large and has many rows to
// be multiplied with, beside which packing is little: to train a large model with large
// batches takes no second copy of it. The backward pass packs into a pooled buffer. Where
// a weight is rounded, which costs more and gives half the bytes, both passes keep it.
// Of blocks that the CPU can read as they are nothing is kept in the forward pass, and only
// some columns are packed at a time, with many rows. A Weight may be used by many goroutines.
type Weight struct {
	parts   []Values
	out, in int
	rounded bool

	forward, backward packedOnce
}

// packedOnce is a matrix that is packed once and kept.
type packedOnce struct {
	once   sync.Once
	done   atomic.Bool
	matrix simd.Matrix
}

const (
	// manyRows is how many rows make packing a small part of a product: 1/16 and less.
	manyRows = 1024
	// largeWeight is how many values a weight has whose packed copy is worth that time.
	largeWeight = 1 << 20
)

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
	if !w.rounded && simd.ReadsBlocks(w.parts...) {
		simd.MulParts(y.data, y.stride, x.data, x.stride, x.rows, bias, w.in, w.parts...)
		if w.large() && x.rows >= manyRows {
			release(w.parts...)
		}
		return
	}
	if w.rounded || !w.large() || x.rows < manyRows || w.forward.done.Load() {
		w.product(w.kept(&w.forward, true), y, x, bias)
		return
	}
	w.productOnce(true, y, x, bias)
}

// multiplyBack sets gx [R, in] to gy [R, out] times the weight.
func (w *Weight) multiplyBack(gx, gy view) {
	if w.rounded {
		w.product(w.kept(&w.backward, false), gx, gy, nil)
		return
	}
	w.productOnce(false, gx, gy, nil)
}

// large tells whether memory is spared at the cost of some time.
func (w *Weight) large() bool { return w.in*w.out >= largeWeight }

// kept returns the packed weight that stays.
func (w *Weight) kept(p *packedOnce, transposed bool) *simd.Matrix {
	p.once.Do(func() {
		w.pack(&p.matrix, transposed)
		release(w.parts...)
		p.done.Store(true)
	})
	return &p.matrix
}

// productOnce multiplies with the weight packed for this product alone.
func (w *Weight) productOnce(transposed bool, dst, a view, bias []float32) {
	right := matrices.Get().(*simd.Matrix)
	defer matrices.Put(right)
	w.pack(right, transposed)
	if w.large() {
		release(w.parts...)
	}
	w.product(right, dst, a, bias)
}

func (w *Weight) pack(into *simd.Matrix, transposed bool) {
	into.PackValues(w.in, transposed, w.rounded, w.parts...)
}

// release lets the memory of values go that will not be read for a while.
func release(parts ...Values) {
	for _, part := range parts {
		if part.Release != nil {
			part.Release()
		}
	}
}

func (w *Weight) product(right *simd.Matrix, dst, a view, bias []float32) {
	multiply := right.Mul
	if w.rounded {
		multiply = right.MulRounded
	}
	multiply(dst.data, dst.stride, a.data, a.stride, dst.rows, bias, false)
}
