//go:build arm64 && !purego

package simd

// available lists the implementations that this machine can run, the best first. Every arm64 that Go runs on has NEON.
func available() []*kernels { return []*kernels{neon, generic} }

var neon = &kernels{
	level: NEON, width: 8, rows: len(multiplyNEON[0]),
	multiply: func(t *tile) {
		kernel := multiplyNEON[t.op][t.rows-1]
		if t.panels > 1 {
			kernel = multiplyPanelsNEON[t.op][t.rows-1]
		}
		t.run(kernel, 8, 0)
	},
	transpose: func(n int, to []float32, toStride int, from []float32, fromStride int) {
		_ = to[(n-1)*toStride+7]
		_ = from[7*fromStride+n-1]
		transposeNEON(n, &to[0], 4*toStride, &from[0], 4*fromStride)
	},
	exp: expNEON, tanh: tanhNEON, relu: reluNEON, silu: siluNEON, gelu: geluNEON, geluTanh: geluTanhNEON,
	tanhGradient: tanhGradientNEON, reluGradient: reluGradientNEON,
	siluGradient: siluGradientNEON, geluGradient: geluGradientNEON, geluTanhGradient: geluTanhGradientNEON,
	add: addNEON, mul: mulNEON, axpy: axpyNEON, scale: scaleNEON, adamW: adamWNEON, dropout: dropoutGeneric,
	sum: sumNEON, dot: dotNEON, maxAbs: maxAbsNEON,
	softmax: softmaxNEON, softmaxGradient: softmaxGradientNEON,
	layerNorm: layerNormNEON, layerNormGradient: layerNormGradientNEON,
	rmsNorm: rmsNormNEON, rmsNormGradient: rmsNormGradientNEON,
	roundBFloat16: roundBFloat16NEON, pairWords: pairWordsNEON,
	widenBFloat16: widenBFloat16NEON, widenFloat16: widenFloat16NEON,
}

// The kernels for 1, 2, … rows, and those that take several panels. There are none for dotBFloat16: dots is false.
var (
	multiplyNEON = [dotBFloat16][8]multiplyKernel{
		multiplyFloat32: {
			multiply1x1NEON, multiply2x1NEON, multiply3x1NEON, multiply4x1NEON,
			multiply5x1NEON, multiply6x1NEON, multiply7x1NEON, multiply8x1NEON,
		},
		multiplyTransposed: {
			multiplyTransposed1x1NEON, multiplyTransposed2x1NEON, multiplyTransposed3x1NEON, multiplyTransposed4x1NEON,
			multiplyTransposed5x1NEON, multiplyTransposed6x1NEON, multiplyTransposed7x1NEON, multiplyTransposed8x1NEON,
		},
		multiplyBFloat16: {
			multiplyBFloat161x1NEON, multiplyBFloat162x1NEON, multiplyBFloat163x1NEON, multiplyBFloat164x1NEON,
			multiplyBFloat165x1NEON, multiplyBFloat166x1NEON, multiplyBFloat167x1NEON, multiplyBFloat168x1NEON,
		},
		multiplyFloat16: {
			multiplyFloat161x1NEON, multiplyFloat162x1NEON, multiplyFloat163x1NEON, multiplyFloat164x1NEON,
			multiplyFloat165x1NEON, multiplyFloat166x1NEON, multiplyFloat167x1NEON, multiplyFloat168x1NEON,
		},
	}
	multiplyPanelsNEON = [dotBFloat16][2]multiplyKernel{
		multiplyFloat32:  {multiply1x4NEON, multiply2x2NEON},
		multiplyBFloat16: {multiplyBFloat161x4NEON, multiplyBFloat162x2NEON},
		multiplyFloat16:  {multiplyFloat161x4NEON, multiplyFloat162x2NEON},
	}
)
