package kernel

import (
	"sync"

	"github.com/gopeft/gopeft/internal/simd"
)

// packTransposed prepares w [out, in] for a·wᵀ.
func packTransposed(w view) *simd.Matrix {
	m := new(simd.Matrix)
	m.PackTransposed(w.data, w.stride, w.rows, w.cols)
	return m
}

// pack prepares w [in, out] for a·w.
func pack(w view) *simd.Matrix {
	m := new(simd.Matrix)
	m.Pack(w.data, w.stride, w.rows, w.cols)
	return m
}

// multiply sets dst to a times the packed matrix, plus bias, which may be nil, in
// every row.
func multiply(dst, a view, b *simd.Matrix, bias []float32) {
	b.Mul(dst.data, dst.stride, a.data, a.stride, dst.rows, bias, false)
}

// matrices are right-hand sides that are used once.
var matrices = sync.Pool{New: func() any { return new(simd.Matrix) }}

// multiplyNT sets dst [m, n] to a [m, k] times the transpose of b [n, k], plus
// bias, which may be nil, in every row.
func multiplyNT(dst, a, b view, bias []float32) {
	right := matrices.Get().(*simd.Matrix)
	defer matrices.Put(right)
	right.PackTransposed(b.data, b.stride, b.rows, b.cols)
	multiply(dst, a, right, bias)
}

// multiplyNN sets dst [m, n] to a [m, k] times b [k, n].
func multiplyNN(dst, a, b view) {
	right := matrices.Get().(*simd.Matrix)
	defer matrices.Put(right)
	right.Pack(b.data, b.stride, b.rows, b.cols)
	multiply(dst, a, right, nil)
}

// multiplyTN sets dst [m, n] to the transpose of a [k, m] times b [k, n], or adds that to dst.
func multiplyTN(dst, a, b view, accumulate bool) {
	simd.GemmTN(dst.data, dst.stride, a.data, a.stride, b.data, b.stride, dst.rows, dst.cols, a.rows, accumulate)
}

// product sets c to a·b or aᵀ·b, or adds that to c, on the goroutine that calls it,
// from operands that are in the cache.
func product(c, a view, transposed bool, b view, accumulate bool) {
	inner := a.cols
	if transposed {
		inner = a.rows
	}
	simd.Product(c.data, c.stride, a.data, a.stride, transposed, b.data, b.stride, c.rows, c.cols, inner, accumulate)
}
