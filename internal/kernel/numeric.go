package kernel

import (
	"math"

	"github.com/gopeft/gopeft/internal/simd"
)

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

// layerNormRow normalises x in place, writes x·gamma + beta to y and returns the
// inverse deviation.
func layerNormRow(y, x, gamma, beta []float32, eps float32) float32 {
	n := float64(len(x))
	mean := float32(simd.Sum(x) / n)
	for i := range x {
		x[i] -= mean
	}
	inverse := float32(1 / math.Sqrt(simd.Dot(x, x)/n+float64(eps)))
	y, gamma, beta = y[:len(x)], gamma[:len(x)], beta[:len(x)]
	for i, v := range x {
		v *= inverse
		x[i] = v
		y[i] = v*gamma[i] + beta[i]
	}
	return inverse
}

// layerNormBackwardRow sets gx to the gradient of the input of a row, of which normal
// is the normalised value.
func layerNormBackwardRow(gx, gy, normal, gamma []float32, inverse float32) {
	gy, normal, gamma = gy[:len(gx)], normal[:len(gx)], gamma[:len(gx)]
	for i, g := range gy {
		gx[i] = g * gamma[i]
	}
	n := float64(len(gx))
	mean, slope := float32(simd.Sum(gx)/n), float32(simd.Dot(gx, normal)/n)
	for i, v := range normal {
		gx[i] = (gx[i] - mean - v*slope) * inverse
	}
}

func tanhForward(y, x []float32) {
	for i, v := range x {
		y[i] = float32(math.Tanh(float64(v)))
	}
}
