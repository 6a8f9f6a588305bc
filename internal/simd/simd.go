// Package simd holds the numeric kernels on []float32: matrix products with packed
// right-hand sides, softmax, GELU. Begin at [Matrix].
//
// On amd64 they are assembly for AVX-512 or for AVX2 with FMA, as the CPU has it,
// made by the generator in _asm; elsewhere, and with the build tag purego, plain Go.
// The paths agree within rounding, not to the bit.
//
// A function runs on the goroutine that calls it and never starts another: callers
// divide work by rows, which changes no bit of a result, because the sum of an
// element is always taken in the same order. NaN and infinities go through as in
// IEEE arithmetic. Slices that do not fit are bugs of the caller and panic.
package simd

// kernels is one implementation.
type kernels struct {
	name  string
	width int // columns of a panel
	rows  int // most rows of multiply at once
	lanes int // lengths that the element-wise functions take are multiples of it
	// multiply computes rows rows of a product with one panel: c = start + a·panel,
	// or c + a·panel where start is nil. n is the panel's height, stride that of c.
	multiply     func(rows, n int, a, panel, c []float32, stride int, start []float32)
	expScaled    func(x []float32, scale, top float32)
	gelu         func(y, x []float32)
	geluGradient func(gx, gy, x []float32)
	axpy         func(alpha float32, x, y []float32)
}

// active is the implementation in use: the best that the CPU can run.
var active = available()[0]

// Name says which implementation is in use: avx512, avx2 or generic.
func Name() string { return active.name }
