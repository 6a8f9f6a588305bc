package simd

import "math"

func axpyGeneric(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] += alpha * v
	}
}

func mulGeneric(y, x []float32) {
	for i, v := range x {
		y[i] *= v
	}
}

func scaleGeneric(factor float32, x []float32) {
	for i := range x {
		x[i] *= factor
	}
}

// adamWGeneric: the conversions keep a compiler from fusing a product and a sum.
func adamWGeneric(p, g, m, v []float32, n *[7]float32) {
	decay, beta2, weight1, weight2, size, root, eps := n[0], n[1], n[2], n[3], n[4], n[5], n[6]
	for i, x := range g {
		m[i] += float32(weight1 * (x - m[i]))
		v[i] = float32(v[i]*beta2) + float32(weight2*float32(x*x))
		denominator := float32(math.Sqrt(float64(v[i])))/root + eps
		p[i] = float32(p[i]*decay) - float32(size*m[i])/denominator
	}
}

// sumGeneric adds four interleaved parts.
func sumGeneric(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0])
		b += float64(x[1])
		c += float64(x[2])
		d += float64(x[3])
	}
	for _, v := range x {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

func dotGeneric(x, y []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x, y = x[4:], y[4:] {
		a += float64(x[0]) * float64(y[0])
		b += float64(x[1]) * float64(y[1])
		c += float64(x[2]) * float64(y[2])
		d += float64(x[3]) * float64(y[3])
	}
	for i, v := range x {
		a += float64(v) * float64(y[i])
	}
	return (a + b) + (c + d)
}

func maxAbsGeneric(x []float32) float32 {
	var top uint32
	for _, v := range x {
		// The bits of a NaN are more than those of an infinity.
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	return math.Float32frombits(top)
}

func softmaxGeneric(x []float32, scale float32) (top, inverse float32) {
	top = -math.MaxFloat32 // not -Inf, which leaves NaN of a row of -Inf
	for _, v := range x {
		if s := v * scale; s > top { // NaN comes back in the sum
			top = s
		}
	}
	sum := 0.0
	for i, v := range x {
		e := math.Exp(float64(v)*float64(scale) - float64(top))
		sum += e
		x[i] = float32(e)
	}
	return top, float32(1 / sum)
}

func softmaxGradientGeneric(p, d []float32, scale, top, inverse, inner float32) {
	for i, v := range p {
		p[i] = float32(math.Exp(float64(v)*float64(scale)-float64(top))) * inverse
		d[i] = (d[i] - inner) * p[i] * scale
	}
}

func layerNormGeneric(y, xhat, x, residual, gamma, beta []float32, eps float32) float32 {
	addResidual(xhat, x, residual)
	n := float64(len(x))
	mean := float32(sumGeneric(xhat) / n)
	for i := range xhat {
		xhat[i] -= mean
	}
	rstd := float32(1 / math.Sqrt(dotGeneric(xhat, xhat)/n+float64(eps)))
	for i, v := range xhat {
		v *= rstd
		xhat[i] = v
		y[i] = v*gamma[i] + beta[i]
	}
	return rstd
}

func rmsNormGeneric(y, xhat, x, residual, gamma []float32, eps float32) float32 {
	addResidual(xhat, x, residual)
	rstd := float32(1 / math.Sqrt(dotGeneric(xhat, xhat)/float64(len(x))+float64(eps)))
	for i, v := range xhat {
		v *= rstd
		xhat[i] = v
		y[i] = v * gamma[i]
	}
	return rstd
}

func addResidual(z, x, residual []float32) {
	copy(z, x)
	if residual != nil {
		axpyGeneric(1, residual, z)
	}
}

func layerNormGradientGeneric(gx, gy, xhat, gamma []float32, rstd float32) {
	normGradient(gx, gy, xhat, gamma, rstd, true)
}

func rmsNormGradientGeneric(gx, gy, xhat, gamma []float32, rstd float32) {
	normGradient(gx, gy, xhat, gamma, rstd, false)
}

// normGradient is the gradient of both norms; only a centered one subtracts the mean.
func normGradient(gx, gy, xhat, gamma []float32, rstd float32, centered bool) {
	for i, g := range gy {
		gx[i] = g * gamma[i]
	}
	n := float64(len(gx))
	var mean float32
	if centered {
		mean = float32(sumGeneric(gx) / n)
	}
	along := float32(dotGeneric(gx, xhat) / n)
	for i, v := range xhat {
		gx[i] = (gx[i] - mean - v*along) * rstd
	}
}
