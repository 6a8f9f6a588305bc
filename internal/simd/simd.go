// Package simd holds the numeric kernels on []float32: matrix products with packed
// right-hand sides, activations and their gradients, softmax, norms, sums, AdamW.
// Begin at [Matrix] for products; the other functions work on plain slices.
//
// On amd64 they are assembly for AVX-512 or for AVX2 with FMA, as the CPU has it, and
// on arm64 for NEON, made by the generator in _asm; elsewhere, and with the build tag
// purego, plain Go. The levels agree within rounding, not to the bit. NEON has only run
// under emulation so far: its results are tested, its speed was never measured.
//
// A right-hand side may be float32, bfloat16 or float16 ([Values]); 16 bits are widened
// inside the product. [Matrix.MulRounded] rounds the left-hand side to bfloat16 too, and
// uses AMX or AVX512_BF16 where the CPU has it.
//
// Blocks of quantised numbers are read as they are by [MulParts] on amd64.
//
// [Matrix.Mul], [MulParts], [GemmTN] and the packing divide their work over goroutines by
// [Parallel]; everything else runs on the goroutine that calls it. However work is
// divided, by this package or by a caller who gives parts of rows or of slices to
// goroutines of its own, results have the same bits: work is divided by rows and
// columns, and the sum of an element is always taken in the same order. A sum over a
// whole slice (Sum, SoftmaxRow, …) is one piece of work. With AMX that order is one for
// products of fewer than 256 rows with a bfloat16 matrix and another for those of more,
// which are computed from products of bfloat16, as exactly as by float32.
//
// NaN and infinities go through as they do in torch. Slices that do not fit are
// bugs of the caller and panic.
package simd

import "fmt"

// Level says which kernels run.
type Level int

// The levels, the slowest first.
const (
	Generic    Level = iota // plain Go
	NEON                    // NEON of arm64
	AVX2                    // AVX2, FMA and F16C
	AVX512                  // AVX-512 F, DQ, BW and VL
	AVX512BF16              // the same, and products of bfloat16
	AMX                     // the same, with products of bfloat16, and those of many rows with bfloat16, by AMX, on Linux
)

// String returns generic, neon, avx2, avx512, avx512_bf16 or amx.
func (l Level) String() string {
	return [...]string{"generic", "neon", "avx2", "avx512", "avx512_bf16", "amx"}[l]
}

// Active returns the level in use: the best that the CPU can run.
func Active() Level { return active.level }

// kernels is one implementation. Its functions trust the lengths of their slices.
type kernels struct {
	level    Level
	width    int       // columns of a panel
	rows     int       // most rows of multiply at once
	masked   bool      // multiply can leave columns of a panel alone
	dots     bool      // multiply knows dotBFloat16
	tiles    bool      // and does it in tiles, see inTiles
	splitter *splitter // products of float32 in planes; nil where they are no faster
	// multiply computes a tile of a product: sums begin at start, or at c where that is nil.
	multiply func(t *tile)
	// transpose writes 8 rows of n values as n rows of 8, n a multiple of 8; nil where there is no such kernel.
	transpose func(n int, to []float32, toStride int, from []float32, fromStride int)

	exp, tanh, relu, silu, gelu, geluTanh func(y, x []float32)
	// The gradients of functions whose result is kept, and of those whose argument is.
	tanhGradient, reluGradient                   func(gx, gy, y []float32)
	siluGradient, geluGradient, geluTanhGradient func(gx, gy, x []float32)
	add, mul                                     func(y, x []float32)
	axpy                                         func(alpha float32, x, y []float32)
	scale                                        func(factor float32, y []float32)
	adamW                                        func(p, g, m, v []float32, numbers *[7]float32)
	dropout                                      func(y, x []float32, counter, threshold uint64, scale float32)
	sum                                          func(x []float32) float64
	dot                                          func(x, y []float32) float64
	maxAbs                                       func(x []float32) float32
	softmax                                      func(x []float32, scale float32) (top, inverse float32)
	softmaxGradient                              func(p, d []float32, scale, top, inverse, inner float32)
	layerNorm                                    func(y, xhat, x, residual, gamma, beta []float32, eps float32) float32
	layerNormGradient, rmsNormGradient           func(gx, gy, xhat, gamma []float32, rstd float32)
	rmsNorm                                      func(y, xhat, x, residual, gamma []float32, eps float32) float32
	// Conversions, of a multiple of 16 values.
	roundBFloat16               func(y []uint16, x []float32)
	pairWords                   func(y []uint32, x, z []uint16)
	widenBFloat16, widenFloat16 func(y []float32, x []uint16)
	// quantised are the layouts of blocks that are multiplied as they are, by name.
	quantised map[string]*quantised
}

// inTiles tells whether multiply takes any number of rows of an operation at once, and whole panels only.
func (k *kernels) inTiles(op operation) bool { return k.tiles && op == dotBFloat16 }

// active is the implementation in use.
var active = available()[0]

// sameLength panics unless all lengths are n.
func sameLength(function string, n int, lengths ...int) {
	for _, l := range lengths {
		if l != n {
			panic(fmt.Sprintf("simd: %s: slices of %d and %d values", function, n, l))
		}
	}
}
