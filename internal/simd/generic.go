package simd

import "math"

// generic is the implementation in plain Go.
var generic = &kernels{
	level: Generic, width: 4, rows: 2, multiply: multiplyGeneric,
	exp:     each(math.Exp),
	sigmoid: each(sigmoid),
	tanh:    each(math.Tanh),
	relu: func(y, x []float32) {
		for i, v := range x {
			if v < 0 { // NaN stays
				v = 0
			}
			y[i] = v
		}
	},
	silu:     each(func(x float64) float64 { return x * sigmoid(x) }),
	gelu:     each(func(x float64) float64 { return x * normalDistribution(x) }),
	geluTanh: each(func(x float64) float64 { return x * sigmoid(geluTanhArgument(x)) }),

	sigmoidGradient: eachGradient(func(y float64) float64 { return y * (1 - y) }),
	tanhGradient:    eachGradient(func(y float64) float64 { return 1 - y*y }),
	reluGradient: func(gx, gy, y []float32) {
		for i, g := range gy {
			if y[i] <= 0 {
				g = 0
			}
			gx[i] = g
		}
	},
	siluGradient: eachGradient(func(x float64) float64 { return slope(x, sigmoid(x), 1) }),
	geluGradient: eachGradient(func(x float64) float64 {
		return normalDistribution(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}),
	geluTanhGradient: eachGradient(func(x float64) float64 {
		return slope(x, sigmoid(geluTanhArgument(x)), 2*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x))
	}),
	add:    func(y, x []float32) { axpyGeneric(1, x, y) },
	axpy:   axpyGeneric,
	mul:    mulGeneric,
	mulAdd: mulAddGeneric,
	scale:  scaleGeneric,
	adamW:  adamWGeneric,
	sum:    sumGeneric, sumSquares: func(x []float32) float64 { return dotGeneric(x, x) }, dot: dotGeneric,
	maxAbs:  maxAbsGeneric,
	softmax: softmaxGeneric, softmaxGradient: softmaxGradientGeneric,
	layerNorm: layerNormGeneric, layerNormGradient: layerNormGradientGeneric,
	rmsNorm: rmsNormGeneric, rmsNormGradient: rmsNormGradientGeneric,
}

func each(f func(float64) float64) func(y, x []float32) {
	return func(y, x []float32) {
		for i, v := range x {
			y[i] = float32(f(float64(v)))
		}
	}
}

func eachGradient(derivative func(float64) float64) func(gx, gy, kept []float32) {
	return func(gx, gy, kept []float32) {
		for i, v := range kept {
			gx[i] = gy[i] * float32(derivative(float64(v)))
		}
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// slope is the derivative of x·s, s being the sigmoid of a function of x that grows by growth.
func slope(x, s, growth float64) float64 { return s + x*s*(1-s)*growth }

// normalDistribution returns Φ(x).
func normalDistribution(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// geluTanhArgument: (1+tanh u)/2 is the sigmoid of 2u.
func geluTanhArgument(x float64) float64 {
	return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
}

// multiplyGeneric keeps 2 rows × 4 columns of sums. A single row is computed twice, so that its sums are those of a pair's.
func multiplyGeneric(t tile) {
	second := t.rows - 1
	c0, c1 := t.c[:4], t.c[second*t.cStride:][:4]
	s := [4]float32{c0[0], c0[1], c0[2], c0[3]}
	u := [4]float32{c1[0], c1[1], c1[2], c1[3]}
	if t.start != nil {
		s = [4]float32(t.start)
		u = s
	}
	s0, s1, s2, s3 := s[0], s[1], s[2], s[3]
	u0, u1, u2, u3 := u[0], u[1], u[2], u[3]
	x, y, panel := t.a[:t.n], t.a[second*t.aStride:][:t.n], t.panel[:4*t.n]
	for i, a := range x {
		b := y[i]
		p := (*[4]float32)(panel)
		panel = panel[4:]
		s0 += a * p[0]
		s1 += a * p[1]
		s2 += a * p[2]
		s3 += a * p[3]
		u0 += b * p[0]
		u1 += b * p[1]
		u2 += b * p[2]
		u3 += b * p[3]
	}
	c0[0], c0[1], c0[2], c0[3] = s0, s1, s2, s3
	c1[0], c1[1], c1[2], c1[3] = u0, u1, u2, u3
}
