//go:build amd64 && !purego

package simd

import "golang.org/x/sys/cpu"

// available lists the implementations that this machine can run, the best first.
func available() []*kernels {
	var found []*kernels
	x := cpu.X86
	if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL {
		found = append(found, avx512)
	}
	if x.HasAVX2 && x.HasFMA {
		found = append(found, avx2)
	}
	return append(found, generic)
}

var avx512 = &kernels{
	level: AVX512, width: 32, rows: len(multiplyAVX512), masked: true, together: map[int]int{1: 4, 2: 2},
	multiply: func(t tile) {
		columns := ^uint32(0)
		if t.columns < 32 {
			columns = 1<<t.columns - 1
		}
		t.check(32)
		kernel := multiplyAVX512[t.rows-1]
		if t.panels > 1 {
			kernel = multiplyPanelsAVX512[t.rows-1]
		}
		kernel(t.n, &t.a[0], 4*t.aStride, &t.panel[0], &t.c[0], 4*t.cStride, first(t.start), columns)
	},
	transpose: transposeVector,
	exp:       expAVX512, sigmoid: sigmoidAVX512, tanh: tanhAVX512, relu: reluAVX512, silu: siluAVX512, gelu: geluAVX512, geluTanh: geluTanhAVX512,
	sigmoidGradient: sigmoidGradientAVX512, tanhGradient: tanhGradientAVX512, reluGradient: reluGradientAVX512,
	siluGradient: siluGradientAVX512, geluGradient: geluGradientAVX512, geluTanhGradient: geluTanhGradientAVX512,
	add: addAVX512, mul: mulAVX512, mulAdd: mulAddAVX512, axpy: axpyAVX512, scale: scaleAVX512, adamW: adamWAVX512,
	sum: sumAVX512, sumSquares: sumSquaresAVX512, dot: dotAVX512, maxAbs: maxAbsAVX512,
	softmax: softmaxAVX512, softmaxGradient: softmaxGradientAVX512,
	layerNorm: layerNormAVX512, layerNormGradient: layerNormGradientAVX512,
	rmsNorm: rmsNormAVX512, rmsNormGradient: rmsNormGradientAVX512,
}

var avx2 = &kernels{
	level: AVX2, width: 16, rows: len(multiplyAVX2), together: map[int]int{1: 4, 2: 2},
	multiply: func(t tile) {
		t.check(16)
		kernel := multiplyAVX2[t.rows-1]
		if t.panels > 1 {
			kernel = multiplyPanelsAVX2[t.rows-1]
		}
		kernel(t.n, &t.a[0], 4*t.aStride, &t.panel[0], &t.c[0], 4*t.cStride, first(t.start), 0)
	},
	transpose: transposeVector,
	exp:       expAVX2, sigmoid: sigmoidAVX2, tanh: tanhAVX2, relu: reluAVX2, silu: siluAVX2, gelu: geluAVX2, geluTanh: geluTanhAVX2,
	sigmoidGradient: sigmoidGradientAVX2, tanhGradient: tanhGradientAVX2, reluGradient: reluGradientAVX2,
	siluGradient: siluGradientAVX2, geluGradient: geluGradientAVX2, geluTanhGradient: geluTanhGradientAVX2,
	add: addAVX2, mul: mulAVX2, mulAdd: mulAddAVX2, axpy: axpyAVX2, scale: scaleAVX2, adamW: adamWAVX2,
	sum: sumAVX2, sumSquares: sumSquaresAVX2, dot: dotAVX2, maxAbs: maxAbsAVX2,
	softmax: softmaxAVX2, softmaxGradient: softmaxGradientAVX2,
	layerNorm: layerNormAVX2, layerNormGradient: layerNormGradientAVX2,
	rmsNorm: rmsNormAVX2, rmsNormGradient: rmsNormGradientAVX2,
}

type multiplyKernel = func(n int, a *float32, aStride int, panel, c *float32, cStride int, start *float32, columns uint32)

// The kernels for 1, 2, … rows, and those that take several panels.
var (
	multiplyAVX512 = [...]multiplyKernel{
		multiply1x1AVX512, multiply2x1AVX512, multiply3x1AVX512, multiply4x1AVX512, multiply5x1AVX512, multiply6x1AVX512, multiply7x1AVX512,
		multiply8x1AVX512, multiply9x1AVX512, multiply10x1AVX512, multiply11x1AVX512, multiply12x1AVX512, multiply13x1AVX512, multiply14x1AVX512,
	}
	multiplyPanelsAVX512 = [...]multiplyKernel{multiply1x4AVX512, multiply2x2AVX512}
	multiplyAVX2         = [...]multiplyKernel{
		multiply1x1AVX2, multiply2x1AVX2, multiply3x1AVX2, multiply4x1AVX2, multiply5x1AVX2, multiply6x1AVX2,
	}
	multiplyPanelsAVX2 = [...]multiplyKernel{multiply1x4AVX2, multiply2x2AVX2}
)

// transposeVector transposes 8 rows; both levels have what it needs.
func transposeVector(n int, to []float32, toStride int, from []float32, fromStride int) {
	_ = to[(n-1)*toStride+7]
	_ = from[7*fromStride+n-1]
	transposeAVX2(n, &to[0], 4*toStride, &from[0], 4*fromStride)
}

// check panics where the assembly would read or write outside of a slice; it works on panels of width columns.
func (t tile) check(width int) {
	_ = t.a[(t.rows-1)*t.aStride+t.n-1]
	_ = t.panel[t.panels*t.n*width-1]
	_ = t.c[(t.rows-1)*t.cStride+t.columns-1]
	if t.start != nil {
		_ = t.start[t.panels*width-1]
	}
}

func first(x []float32) *float32 {
	if x == nil {
		return nil
	}
	return &x[0]
}
