package kernel

import (
	"slices"
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

const (
	// worth is how many products are worth a goroutine: about 20 µs.
	worth = 1 << 21
	// fewRows: below it the columns of a product are divided, not its rows.
	fewRows = 28
)

// multiply sets dst to a times the packed matrix, plus bias, which may be nil, in
// every row.
func multiply(dst, a view, b *simd.Matrix, bias []float32) {
	if dst.rows == 0 {
		return
	}
	products := func(from, to, firstPanel, lastPanel int) {
		b.Multiply(dst.data[from*dst.stride:], dst.stride, a.data[from*a.stride:], a.stride, to-from, bias, firstPanel, lastPanel)
	}
	panels := b.Panels()
	if dst.rows < fewRows {
		perPanel := dst.rows * a.cols * dst.cols / panels
		parallel(panels, max(1, worth/max(1, perPanel)), func(from, to int) { products(0, dst.rows, from, to) })
		return
	}
	parallel(dst.rows, max(fewRows, worth/max(1, a.cols*dst.cols)), func(from, to int) { products(from, to, 0, panels) })
}

// scratch is memory for one product of two matrices that are used once.
type scratch struct {
	right simd.Matrix
	left  []float32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// multiplyNT sets dst [m, n] to a [m, k] times the transpose of b [n, k], plus
// bias, which may be nil, in every row.
func multiplyNT(dst, a, b view, bias []float32) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.right.PackTransposed(b.data, b.stride, b.rows, b.cols)
	multiply(dst, a, &s.right, bias)
}

// multiplyNN sets dst [m, n] to a [m, k] times b [k, n].
func multiplyNN(dst, a, b view) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.right.Pack(b.data, b.stride, b.rows, b.cols)
	multiply(dst, a, &s.right, nil)
}

// multiplyTN sets dst [m, n] to the transpose of a [k, m] times b [k, n].
func multiplyTN(dst, a, b view) {
	if a.rows == 0 {
		for r := range dst.rows {
			clear(dst.row(r))
		}
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.right.Pack(b.data, b.stride, b.rows, b.cols)
	s.left = slices.Grow(s.left[:0], a.rows*a.cols)[:a.rows*a.cols]
	left := view{s.left, a.cols, a.rows, a.rows}
	a.transposeTo(left)
	multiply(dst, left, &s.right, nil)
}
