package kernel

import "github.com/gopeft/gopeft/internal/simd"

// columnSums adds the rows of v in order, in float64, so that the sum is the
// same however work is divided.
func columnSums(v view) []float32 {
	sums := make([]float64, v.cols)
	for r := range v.rows {
		for c, x := range v.row(r) {
			sums[c] += float64(x)
		}
	}
	out := make([]float32, v.cols)
	for c, s := range sums {
		out[c] = float32(s)
	}
	return out
}

func addTo(dst, src []float32) { simd.Axpy(1, src, dst) }
