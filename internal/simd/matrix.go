package simd

import "fmt"

// Format says how a [Matrix] holds its values.
type Format int

// The formats. Values of 16 bits are widened in the kernels, which is exact.
const (
	Float32 Format = iota
	BFloat16
	Float16
)

// String returns torch's name.
func (f Format) String() string { return [...]string{"float32", "bfloat16", "float16"}[f] }

func (f Format) operation() operation {
	return [...]operation{multiplyFloat32, multiplyBFloat16, multiplyFloat16}[f]
}

// Matrix is a right-hand side [K, N], packed for the kernels: cut into blocks of
// rows, and each block into panels of neighbouring columns. The zero Matrix is
// empty. Once packed it may be used by any number of goroutines.
type Matrix struct {
	k, n   int
	width  int // of a panel
	format Format
	// values holds the rows of the panels. Of BFloat16 a value is a pair, rows 2i and 2i+1, the
	// first in the lower half; of Float16 it is two columns.
	values []float32
}

const (
	// blockHeight is how many rows of the right-hand side are multiplied at once: a panel of them stays in the cache.
	blockHeight = 384
	// packGrain is how many values are worth a goroutine when they are packed.
	packGrain = 1 << 17
)

// K and N return the shape [K, N].
func (b *Matrix) K() int { return b.k }

// N returns the number of columns.
func (b *Matrix) N() int { return b.n }

// Panels returns the number of panels, the units in which columns can be divided.
func (b *Matrix) Panels() int { return (b.n + b.width - 1) / b.width }

// steps is how many rows a panel has for height rows of the matrix.
func (b *Matrix) steps(height int) int {
	if b.format == BFloat16 {
		return (height + 1) / 2
	}
	return height
}

// lanes is how many values a row of a panel has.
func (b *Matrix) lanes() int {
	if b.format == Float16 {
		return b.width / 2
	}
	return b.width
}

// at is where a panel of a block begins.
func (b *Matrix) at(row, height, p int) int {
	return (b.steps(row)*b.Panels() + p*b.steps(height)) * b.lanes()
}

func (b *Matrix) panel(row, height, p int) []float32 {
	return b.values[b.at(row, height, p):][:b.steps(height)*b.lanes()]
}

func (b *Matrix) resize(function string, format Format, k, n int) {
	if k < 1 || n < 1 {
		panic(fmt.Sprintf("simd: %s: a matrix of [%d, %d]", function, k, n))
	}
	b.format, b.k, b.n, b.width = format, k, n, active.width
	b.values = grown(b.values, b.at(k, 0, 0))
}

// checkMatrix panics unless a slice of length values holds [rows, cols] at this stride.
func checkMatrix(function, name string, length, stride, rows, cols int) {
	if rows < 0 || cols < 0 || stride < cols || (rows > 0 && cols > 0 && length < (rows-1)*stride+cols) {
		panic(fmt.Sprintf("simd: %s: %s has %d values, for [%d, %d] with stride %d", function, name, length, rows, cols, stride))
	}
}
