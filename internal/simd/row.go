package simd

import "math"

// SoftmaxRow replaces x by exp(scale·x - top), where top is the largest scale·x, and
// returns top and the inverse of the sum: inverse·x is softmax(scale·x). An element of
// -Inf gets 0; of a row with NaN or +Inf the inverse is NaN, as torch's softmax is.
// Where all elements are -Inf, or there is none, x and inverse are 0, as in torch's
// scaled_dot_product_attention. The sum is taken by lanes in float32.
func SoftmaxRow(x []float32, scale float32) (top, inverse float32) {
	if len(x) == 0 {
		return 0, 0
	}
	top, inverse = active.softmax(x, scale)
	if math.IsInf(float64(inverse), 1) { // the sum is at least 1 where an element is not -Inf
		return top, 0
	}
	return top, inverse
}

// SoftmaxBackwardRow is the backward pass of a row of attention. It replaces the scores
// p by their probabilities inverse·exp(scale·p - top), with what SoftmaxRow returned for
// the whole row, and the gradient d of the probabilities by that of the scores,
// scale·p∘(d - inner), where inner is Σ p·d over the whole row.
func SoftmaxBackwardRow(p, d []float32, scale, top, inverse, inner float32) {
	sameLength("SoftmaxBackwardRow", len(p), len(d))
	active.softmaxGradient(p, d, scale, top, inverse, inner)
}

// LayerNormRow normalises a row: with z = x + residual, xhat becomes
// (z - mean z)·rstd and y becomes xhat∘gamma + beta, where rstd = 1/√(variance + eps),
// which it returns, with the biased variance. residual may be nil. xhat may be x or y,
// if the caller does not need it after.
func LayerNormRow(y, xhat, x, residual, gamma, beta []float32, eps float32) (rstd float32) {
	sameLength("LayerNormRow", len(x), len(y), len(xhat), len(gamma), len(beta))
	if len(x) == 0 {
		return 0
	}
	return active.layerNorm(y, xhat, x, row("LayerNormRow", residual, len(x)), gamma, beta, eps)
}

// LayerNormBackwardRow sets gx to the gradient of x (and of the residual), from the
// gradient gy of y and what LayerNormRow left. gx may be gy.
func LayerNormBackwardRow(gx, gy, xhat, gamma []float32, rstd float32) {
	sameLength("LayerNormBackwardRow", len(gx), len(gy), len(xhat), len(gamma))
	if len(gx) > 0 {
		active.layerNormGradient(gx, gy, xhat, gamma, rstd)
	}
}

// RMSNormRow is LayerNormRow without the mean and beta: xhat becomes
// (x + residual)·rstd, y becomes xhat∘gamma, and rstd is 1/√(mean square + eps).
func RMSNormRow(y, xhat, x, residual, gamma []float32, eps float32) (rstd float32) {
	sameLength("RMSNormRow", len(x), len(y), len(xhat), len(gamma))
	if len(x) == 0 {
		return 0
	}
	return active.rmsNorm(y, xhat, x, row("RMSNormRow", residual, len(x)), gamma, eps)
}

// RMSNormBackwardRow is the LayerNormBackwardRow of RMSNormRow.
func RMSNormBackwardRow(gx, gy, xhat, gamma []float32, rstd float32) {
	sameLength("RMSNormBackwardRow", len(gx), len(gy), len(xhat), len(gamma))
	if len(gx) > 0 {
		active.rmsNormGradient(gx, gy, xhat, gamma, rstd)
	}
}

// row checks a residual, of which there may be none.
func row(function string, residual []float32, n int) []float32 {
	if residual != nil {
		sameLength(function, n, len(residual))
	}
	return residual
}
