package simd

// SoftmaxRow replaces x by softmax(scale·x). An element of -Inf gets 0; a row of
// nothing else, or with NaN or +Inf, becomes NaN, as in torch.
func SoftmaxRow(x []float32, scale float32) {
	if len(x) > 0 {
		active.softmax(x, scale)
	}
}

// SoftmaxBackwardRow replaces the gradient d of the probabilities p by that of the
// scores before the scale: scale·p∘(d - Σ p·d).
func SoftmaxBackwardRow(d, p []float32, scale float32) {
	sameLength("SoftmaxBackwardRow", len(d), len(p))
	active.softmaxGradient(d, p, scale)
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

// LayerNormParametersRow adds a row's part to the gradients of gamma and beta.
func LayerNormParametersRow(ggamma, gbeta, gy, xhat []float32) {
	MulAdd(ggamma, gy, xhat)
	Add(gbeta, gy)
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
