//go:build amd64 && !purego

package simd

import "golang.org/x/sys/cpu"

// available lists the implementations that this machine can run, the best first.
func available() []*kernels {
	var found []*kernels
	x := cpu.X86
	if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL {
		if x.HasAVX512BF16 && hasTiles() {
			found = append(found, amx)
		}
		if x.HasAVX512BF16 {
			found = append(found, avx512BF16)
		}
		found = append(found, avx512)
	}
	if x.HasAVX2 && x.HasFMA {
		found = append(found, avx2)
	}
	return append(found, generic)
}

var avx512BF16 = func() *kernels {
	k := *avx512
	k.level, k.dots = AVX512BF16, true
	return &k
}()

var avx512 = &kernels{
	level: AVX512, width: 32, rows: len(multiplyAVX512[0]), masked: true,
	multiply: func(t *tile) {
		columns := ^uint32(0)
		if t.columns < 32 {
			columns = 1<<t.columns - 1
		}
		kernel := multiplyAVX512[t.op][t.rows-1]
		if t.panels > 1 {
			kernel = multiplyPanelsAVX512[t.op][t.rows-1]
		}
		t.run(kernel, 32, columns)
	},
	transpose: transposeVector,
	exp:       expAVX512, tanh: tanhAVX512, relu: reluAVX512, silu: siluAVX512, gelu: geluAVX512, geluTanh: geluTanhAVX512,
	tanhGradient: tanhGradientAVX512, reluGradient: reluGradientAVX512,
	siluGradient: siluGradientAVX512, geluGradient: geluGradientAVX512, geluTanhGradient: geluTanhGradientAVX512,
	add: addAVX512, mul: mulAVX512, axpy: axpyAVX512, scale: scaleAVX512, adamW: adamWAVX512, dropout: dropoutAVX512,
	sum: sumAVX512, dot: dotAVX512, maxAbs: maxAbsAVX512,
	softmax: softmaxAVX512, softmaxGradient: softmaxGradientAVX512,
	layerNorm: layerNormAVX512, layerNormGradient: layerNormGradientAVX512,
	rmsNorm: rmsNormAVX512, rmsNormGradient: rmsNormGradientAVX512,
	roundBFloat16: roundBFloat16AVX512, pairWords: pairWordsAVX512,
	widenBFloat16: widenBFloat16AVX512, widenFloat16: widenFloat16AVX512,
	quantised: quantisedAVX512,
}

var avx2 = &kernels{
	level: AVX2, width: 16, rows: len(multiplyAVX2[0]),
	multiply: func(t *tile) {
		kernel := multiplyAVX2[t.op][t.rows-1]
		if t.panels > 1 {
			kernel = multiplyPanelsAVX2[t.op][t.rows-1]
		}
		t.run(kernel, 16, 0)
	},
	transpose: transposeVector,
	exp:       expAVX2, tanh: tanhAVX2, relu: reluAVX2, silu: siluAVX2, gelu: geluAVX2, geluTanh: geluTanhAVX2,
	tanhGradient: tanhGradientAVX2, reluGradient: reluGradientAVX2,
	siluGradient: siluGradientAVX2, geluGradient: geluGradientAVX2, geluTanhGradient: geluTanhGradientAVX2,
	add: addAVX2, mul: mulAVX2, axpy: axpyAVX2, scale: scaleAVX2, adamW: adamWAVX2, dropout: dropoutAVX2,
	sum: sumAVX2, dot: dotAVX2, maxAbs: maxAbsAVX2,
	softmax: softmaxAVX2, softmaxGradient: softmaxGradientAVX2,
	layerNorm: layerNormAVX2, layerNormGradient: layerNormGradientAVX2,
	rmsNorm: rmsNormAVX2, rmsNormGradient: rmsNormGradientAVX2,
	roundBFloat16: roundBFloat16AVX2, pairWords: pairWordsAVX2,
	widenBFloat16: widenBFloat16AVX2, widenFloat16: widenFloat16AVX2,
	quantised: quantisedAVX2,
}

// The kernels for 1, 2, … rows, and those that take several panels.
var (
	multiplyAVX512 = [operations][14]multiplyKernel{
		multiplyFloat32: {
			multiply1x1AVX512, multiply2x1AVX512, multiply3x1AVX512, multiply4x1AVX512, multiply5x1AVX512, multiply6x1AVX512,
			multiply7x1AVX512, multiply8x1AVX512, multiply9x1AVX512, multiply10x1AVX512, multiply11x1AVX512, multiply12x1AVX512,
			multiply13x1AVX512, multiply14x1AVX512,
		},
		multiplyTransposed: {
			multiplyTransposed1x1AVX512, multiplyTransposed2x1AVX512, multiplyTransposed3x1AVX512, multiplyTransposed4x1AVX512, multiplyTransposed5x1AVX512, multiplyTransposed6x1AVX512,
			multiplyTransposed7x1AVX512, multiplyTransposed8x1AVX512, multiplyTransposed9x1AVX512, multiplyTransposed10x1AVX512, multiplyTransposed11x1AVX512, multiplyTransposed12x1AVX512,
			multiplyTransposed13x1AVX512, multiplyTransposed14x1AVX512,
		},
		multiplyBFloat16: {
			multiplyBFloat161x1AVX512, multiplyBFloat162x1AVX512, multiplyBFloat163x1AVX512, multiplyBFloat164x1AVX512, multiplyBFloat165x1AVX512, multiplyBFloat166x1AVX512,
			multiplyBFloat167x1AVX512, multiplyBFloat168x1AVX512, multiplyBFloat169x1AVX512, multiplyBFloat1610x1AVX512, multiplyBFloat1611x1AVX512, multiplyBFloat1612x1AVX512,
			multiplyBFloat1613x1AVX512, multiplyBFloat1614x1AVX512,
		},
		multiplyFloat16: {
			multiplyFloat161x1AVX512, multiplyFloat162x1AVX512, multiplyFloat163x1AVX512, multiplyFloat164x1AVX512, multiplyFloat165x1AVX512, multiplyFloat166x1AVX512,
			multiplyFloat167x1AVX512, multiplyFloat168x1AVX512, multiplyFloat169x1AVX512, multiplyFloat1610x1AVX512, multiplyFloat1611x1AVX512, multiplyFloat1612x1AVX512,
			multiplyFloat1613x1AVX512, multiplyFloat1614x1AVX512,
		},
		dotBFloat16: {
			dotBFloat161x1AVX512, dotBFloat162x1AVX512, dotBFloat163x1AVX512, dotBFloat164x1AVX512, dotBFloat165x1AVX512, dotBFloat166x1AVX512,
			dotBFloat167x1AVX512, dotBFloat168x1AVX512, dotBFloat169x1AVX512, dotBFloat1610x1AVX512, dotBFloat1611x1AVX512, dotBFloat1612x1AVX512,
			dotBFloat1613x1AVX512, dotBFloat1614x1AVX512,
		},
	}
	multiplyPanelsAVX512 = [operations][2]multiplyKernel{
		multiplyFloat32:  {multiply1x4AVX512, multiply2x2AVX512},
		multiplyBFloat16: {multiplyBFloat161x4AVX512, multiplyBFloat162x2AVX512},
		multiplyFloat16:  {multiplyFloat161x4AVX512, multiplyFloat162x2AVX512},
		dotBFloat16:      {dotBFloat161x4AVX512, dotBFloat162x2AVX512},
	}
	multiplyAVX2 = [operations][6]multiplyKernel{
		multiplyFloat32: {
			multiply1x1AVX2, multiply2x1AVX2, multiply3x1AVX2, multiply4x1AVX2, multiply5x1AVX2, multiply6x1AVX2,
		},
		multiplyTransposed: {
			multiplyTransposed1x1AVX2, multiplyTransposed2x1AVX2, multiplyTransposed3x1AVX2, multiplyTransposed4x1AVX2, multiplyTransposed5x1AVX2, multiplyTransposed6x1AVX2,
		},
		multiplyBFloat16: {
			multiplyBFloat161x1AVX2, multiplyBFloat162x1AVX2, multiplyBFloat163x1AVX2, multiplyBFloat164x1AVX2, multiplyBFloat165x1AVX2, multiplyBFloat166x1AVX2,
		},
		multiplyFloat16: {
			multiplyFloat161x1AVX2, multiplyFloat162x1AVX2, multiplyFloat163x1AVX2, multiplyFloat164x1AVX2, multiplyFloat165x1AVX2, multiplyFloat166x1AVX2,
		},
	}
	multiplyPanelsAVX2 = [operations][2]multiplyKernel{
		multiplyFloat32:  {multiply1x4AVX2, multiply2x2AVX2},
		multiplyBFloat16: {multiplyBFloat161x4AVX2, multiplyBFloat162x2AVX2},
		multiplyFloat16:  {multiplyFloat161x4AVX2, multiplyFloat162x2AVX2},
	}
)

// transposeVector transposes 8 rows; both levels have what it needs.
func transposeVector(n int, to []float32, toStride int, from []float32, fromStride int) {
	_ = to[(n-1)*toStride+7]
	_ = from[7*fromStride+n-1]
	transposeAVX2(n, &to[0], 4*toStride, &from[0], 4*fromStride)
}

// The layouts of blocks, by ggml's names.
var (
	quantisedAVX512 = map[string]*quantised{
		"Q8_0": {elements: 32, bytes: 34, unpack: unpackQ80AVX512, multiply: [3]quantisedKernel{multiplyQ80x1AVX512, multiplyQ80x2AVX512, multiplyQ80x4AVX512}},
		"Q4_0": {elements: 32, bytes: 18, unpack: unpackQ40AVX512, multiply: [3]quantisedKernel{multiplyQ40x1AVX512, multiplyQ40x2AVX512, multiplyQ40x4AVX512}},
		"Q4_1": {elements: 32, bytes: 20, unpack: unpackQ41AVX512, multiply: [3]quantisedKernel{multiplyQ41x1AVX512, multiplyQ41x2AVX512, multiplyQ41x4AVX512}},
		"Q5_0": {elements: 32, bytes: 22, unpack: unpackQ50AVX512, multiply: [3]quantisedKernel{multiplyQ50x1AVX512, multiplyQ50x2AVX512, multiplyQ50x4AVX512}},
		"Q5_1": {elements: 32, bytes: 24, unpack: unpackQ51AVX512, multiply: [3]quantisedKernel{multiplyQ51x1AVX512, multiplyQ51x2AVX512, multiplyQ51x4AVX512}},
		"Q2_K": {elements: 256, bytes: 84, unpack: unpackQ2KAVX512, multiply: [3]quantisedKernel{multiplyQ2Kx1AVX512, multiplyQ2Kx2AVX512, multiplyQ2Kx4AVX512}},
		"Q3_K": {elements: 256, bytes: 110, unpack: unpackQ3KAVX512, multiply: [3]quantisedKernel{multiplyQ3Kx1AVX512, multiplyQ3Kx2AVX512, multiplyQ3Kx4AVX512}},
		"Q4_K": {elements: 256, bytes: 144, unpack: unpackQ4KAVX512, multiply: [3]quantisedKernel{multiplyQ4Kx1AVX512, multiplyQ4Kx2AVX512, multiplyQ4Kx4AVX512}},
		"Q5_K": {elements: 256, bytes: 176, unpack: unpackQ5KAVX512, multiply: [3]quantisedKernel{multiplyQ5Kx1AVX512, multiplyQ5Kx2AVX512, multiplyQ5Kx4AVX512}},
		"Q6_K": {elements: 256, bytes: 210, unpack: unpackQ6KAVX512, multiply: [3]quantisedKernel{multiplyQ6Kx1AVX512, multiplyQ6Kx2AVX512, multiplyQ6Kx4AVX512}},
	}
	quantisedAVX2 = map[string]*quantised{
		"Q8_0": {elements: 32, bytes: 34, unpack: unpackQ80AVX2, multiply: [3]quantisedKernel{multiplyQ80x1AVX2, multiplyQ80x2AVX2, multiplyQ80x4AVX2}},
		"Q4_0": {elements: 32, bytes: 18, unpack: unpackQ40AVX2, multiply: [3]quantisedKernel{multiplyQ40x1AVX2, multiplyQ40x2AVX2, multiplyQ40x4AVX2}},
		"Q4_1": {elements: 32, bytes: 20, unpack: unpackQ41AVX2, multiply: [3]quantisedKernel{multiplyQ41x1AVX2, multiplyQ41x2AVX2, multiplyQ41x4AVX2}},
		"Q5_0": {elements: 32, bytes: 22, unpack: unpackQ50AVX2, multiply: [3]quantisedKernel{multiplyQ50x1AVX2, multiplyQ50x2AVX2, multiplyQ50x4AVX2}},
		"Q5_1": {elements: 32, bytes: 24, unpack: unpackQ51AVX2, multiply: [3]quantisedKernel{multiplyQ51x1AVX2, multiplyQ51x2AVX2, multiplyQ51x4AVX2}},
		"Q2_K": {elements: 256, bytes: 84, unpack: unpackQ2KAVX2, multiply: [3]quantisedKernel{multiplyQ2Kx1AVX2, multiplyQ2Kx2AVX2, multiplyQ2Kx4AVX2}},
		"Q3_K": {elements: 256, bytes: 110, unpack: unpackQ3KAVX2, multiply: [3]quantisedKernel{multiplyQ3Kx1AVX2, multiplyQ3Kx2AVX2, multiplyQ3Kx4AVX2}},
		"Q4_K": {elements: 256, bytes: 144, unpack: unpackQ4KAVX2, multiply: [3]quantisedKernel{multiplyQ4Kx1AVX2, multiplyQ4Kx2AVX2, multiplyQ4Kx4AVX2}},
		"Q5_K": {elements: 256, bytes: 176, unpack: unpackQ5KAVX2, multiply: [3]quantisedKernel{multiplyQ5Kx1AVX2, multiplyQ5Kx2AVX2, multiplyQ5Kx4AVX2}},
		"Q6_K": {elements: 256, bytes: 210, unpack: unpackQ6KAVX2, multiply: [3]quantisedKernel{multiplyQ6Kx1AVX2, multiplyQ6Kx2AVX2, multiplyQ6Kx4AVX2}},
	}
)
