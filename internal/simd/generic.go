package simd

import "math"

// generic is the implementation in plain Go.
var generic = &kernels{
	name: "generic", width: 4, rows: 2, lanes: 1,
	multiply: multiplyGeneric, expScaled: expScaledGeneric,
	gelu: geluGeneric, geluGradient: geluGradientGeneric, axpy: axpyGeneric,
}

func multiplyGeneric(rows, n int, a, panel, c []float32, stride int, start []float32) {
	for r := range rows {
		out := c[r*stride:][:4]
		if start != nil {
			copy(out, start)
		}
		s, t, u, v := out[0], out[1], out[2], out[3]
		for i, x := range a[r*leftStride:][:n] {
			p := panel[4*i:][:4]
			s += x * p[0]
			t += x * p[1]
			u += x * p[2]
			v += x * p[3]
		}
		out[0], out[1], out[2], out[3] = s, t, u, v
	}
}

func expScaledGeneric(x []float32, scale, top float32) {
	for i, v := range x {
		x[i] = float32(math.Exp(float64(v*scale) - float64(top)))
	}
}

// normalDistribution returns Φ(x).
func normalDistribution(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func geluGeneric(y, x []float32) {
	for i := range y {
		v := float64(x[i])
		y[i] = float32(v * normalDistribution(v))
	}
}

func geluGradientGeneric(gx, gy, x []float32) {
	for i := range gx {
		v := float64(x[i])
		density := math.Exp(-v*v/2) / math.Sqrt(2*math.Pi)
		gx[i] = gy[i] * float32(normalDistribution(v)+v*density)
	}
}

func axpyGeneric(alpha float32, x, y []float32) {
	for i := range y {
		y[i] += alpha * x[i]
	}
}
