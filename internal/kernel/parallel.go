package kernel

import "github.com/gopeft/gopeft/internal/simd"

// elements is how many elements are worth a goroutine when little is done to each.
const elements = 8192

// elementwise divides n elements.
func elementwise(n int, f func(from, to int)) { simd.Parallel(n, elements, f) }

// eachRow divides rows of cols elements.
func eachRow(rows, cols int, f func(from, to int)) {
	simd.Parallel(rows, max(1, elements/max(1, cols)), f)
}
