package kernel

import "github.com/gopeft/gopeft/internal/simd"

// columnSums adds the rows of v.
func columnSums(v view) []float32 {
	return sumColumns(v, func(sums []float64, r, from, to int) {
		for i, x := range v.row(r)[from:to] {
			sums[i] += float64(x)
		}
	})
}

// columnProducts adds the rows of v ∘ w.
func columnProducts(v, w view) []float32 {
	return sumColumns(v, func(sums []float64, r, from, to int) {
		other := w.row(r)[from:to]
		for i, x := range v.row(r)[from:to] {
			sums[i] += float64(x) * float64(other[i])
		}
	})
}

// sumColumns adds up what add puts into the sums of the columns [from, to) of each row of
// v: in the order of the rows, in float64, so that the sums are the same however the
// columns are divided.
func sumColumns(v view, add func(sums []float64, r, from, to int)) []float32 {
	out := make([]float32, v.cols)
	const fewest = 64 // columns, several cache lines
	simd.Parallel(v.cols, max(fewest, elements/max(1, v.rows)), func(from, to int) {
		sums := make([]float64, to-from)
		for r := range v.rows {
			add(sums, r, from, to)
		}
		for i, s := range sums {
			out[from+i] = float32(s)
		}
	})
	return out
}

func addTo(dst, src []float32) { simd.Axpy(1, src, dst) }
