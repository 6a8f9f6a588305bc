package simd

// GELU sets y to x·Φ(x), the GELU by erf, Φ being the distribution function of the
// normal distribution. |error| ≤ 2e-7·max(1, |x|).
func GELU(y, x []float32) {
	x = x[:len(y)]
	whole := len(y) / active.lanes * active.lanes
	if whole > 0 {
		active.gelu(y[:whole], x)
	}
	if whole < len(y) {
		var in, out [maxLanes]float32
		n := copy(in[:], x[whole:])
		active.gelu(out[:active.lanes], in[:])
		copy(y[whole:], out[:n])
	}
}

// GELUGradient sets gx to gy times the derivative of GELU at x.
func GELUGradient(gx, gy, x []float32) {
	gy, x = gy[:len(gx)], x[:len(gx)]
	whole := len(gx) / active.lanes * active.lanes
	if whole > 0 {
		active.geluGradient(gx[:whole], gy, x)
	}
	if whole < len(gx) {
		var g, in, out [maxLanes]float32
		copy(g[:], gy[whole:])
		n := copy(in[:], x[whole:])
		active.geluGradient(out[:active.lanes], g[:], in[:])
		copy(gx[whole:], out[:n])
	}
}

// maxLanes is the most values of a vector of any implementation.
const maxLanes = 16

// Axpy adds alpha·x to y.
func Axpy(alpha float32, x, y []float32) {
	x = x[:len(y)]
	whole := len(y) / active.lanes * active.lanes
	if whole > 0 {
		active.axpy(alpha, x, y[:whole])
	}
	for i := whole; i < len(y); i++ {
		y[i] += alpha * x[i]
	}
}

// SoftmaxRow replaces x by softmax(scale·x).
func SoftmaxRow(x []float32, scale float32) {
	if len(x) == 0 {
		return
	}
	top := largest(x, scale)
	whole := len(x) / active.lanes * active.lanes
	if whole > 0 {
		active.expScaled(x[:whole], scale, top)
	}
	if whole < len(x) {
		var rest [maxLanes]float32
		n := copy(rest[:], x[whole:])
		active.expScaled(rest[:active.lanes], scale, top)
		copy(x[whole:], rest[:n])
	}
	Scale(float32(1/Sum(x)), x)
}

// largest returns the largest of scale·x. A NaN may be passed over: it comes back in
// the sum of the exponentials.
func largest(x []float32, scale float32) float32 {
	a := x[0] * scale
	b, c, d := a, a, a
	for ; len(x) >= 4; x = x[4:] {
		if v := x[0] * scale; v > a {
			a = v
		}
		if v := x[1] * scale; v > b {
			b = v
		}
		if v := x[2] * scale; v > c {
			c = v
		}
		if v := x[3] * scale; v > d {
			d = v
		}
	}
	for _, v := range x {
		a = max(a, v*scale)
	}
	return max(a, b, c, d)
}

// SoftmaxBackwardRow replaces the gradient d of the probabilities p by that of the
// scores before the scale: scale·p∘(d - Σ p·d).
func SoftmaxBackwardRow(d, p []float32, scale float32) {
	p = p[:len(d)]
	sum := float32(Dot(d, p))
	for i, v := range p {
		d[i] = v * (d[i] - sum) * scale
	}
}

// Scale multiplies x by factor.
func Scale(factor float32, x []float32) {
	for i := range x {
		x[i] *= factor
	}
}

// Sum returns the sum of x, taken in float64 in four interleaved parts.
func Sum(x []float32) float64 {
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

// Dot returns Σ x·y, taken as Sum is.
func Dot(x, y []float32) float64 {
	y = y[:len(x)]
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
