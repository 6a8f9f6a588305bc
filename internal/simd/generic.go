package simd

import "math"

// generic is the implementation in plain Go.
var generic = &kernels{
	level: Generic, width: 4, rows: 2, multiply: multiplyGeneric,
	exp:  each(math.Exp),
	tanh: each(math.Tanh),
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

	tanhGradient: eachGradient(func(y float64) float64 { return 1 - y*y }),
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
	add:   func(y, x []float32) { axpyGeneric(1, x, y) },
	axpy:  axpyGeneric,
	mul:   mulGeneric,
	scale: scaleGeneric,
	adamW: adamWGeneric, dropout: dropoutGeneric,
	sum: sumGeneric, dot: dotGeneric,
	maxAbs:  maxAbsGeneric,
	softmax: softmaxGeneric, softmaxGradient: softmaxGradientGeneric,
	layerNorm: layerNormGeneric, layerNormGradient: layerNormGradientGeneric,
	rmsNorm: rmsNormGeneric, rmsNormGradient: rmsNormGradientGeneric,
	roundBFloat16: roundBFloat16Generic, pairWords: pairWordsGeneric,
	widenBFloat16: widenBFloat16Generic, widenFloat16: widenFloat16Generic,
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
