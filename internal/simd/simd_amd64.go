//go:build amd64 && !purego

package simd

import "golang.org/x/sys/cpu"

// available lists the implementations that this machine can run, the best first.
func available() []*kernels {
	var found []*kernels
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ {
		found = append(found, avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		found = append(found, avx2)
	}
	return append(found, generic)
}

// constants are the values that the element-wise functions read, in the order of _asm/elements.go.
var constants = [...]float32{
	1.44269504089, -0.693359375, 2.12194440e-4, // log₂e and -ln 2 in two parts
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, // e^r
	-87.3,
	0.70710678118, 4, -4, // 1/√2 and where erf is cut
	-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
	-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02, // the numerator of erf
	-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03,
	-7.37332916720468e-03, -1.42647390514189e-02, // and its denominator
	0.5, -0.5,
	0.39894228040, // 1/√(2π)
}

var table = &constants[0]

type multiplyKernel = func(n int, a, panel, c *float32, stride int, start *float32)

var multiplyAVX512 = [...]multiplyKernel{
	multiplyAVX5121, multiplyAVX5122, multiplyAVX5123, multiplyAVX5124, multiplyAVX5125, multiplyAVX5126, multiplyAVX5127,
	multiplyAVX5128, multiplyAVX5129, multiplyAVX51210, multiplyAVX51211, multiplyAVX51212, multiplyAVX51213, multiplyAVX51214,
}

var multiplyAVX2 = [...]multiplyKernel{
	multiplyAVX21, multiplyAVX22, multiplyAVX23, multiplyAVX24, multiplyAVX25, multiplyAVX26,
}

var avx512 = &kernels{
	name: "avx512", width: 32, rows: len(multiplyAVX512), lanes: 16,
	multiply: func(rows, n int, a, panel, c []float32, stride int, start []float32) {
		checkTile(rows, n, a, panel, c, stride, 32)
		multiplyAVX512[rows-1](n, &a[0], &panel[0], &c[0], 4*stride, first(start))
	},
	expScaled:    func(x []float32, scale, top float32) { expScaledAVX512(len(x), &x[0], scale, top, table) },
	gelu:         func(y, x []float32) { geluAVX512(len(y), &y[0], &x[0], table) },
	geluGradient: func(gx, gy, x []float32) { geluGradientAVX512(len(gx), &gx[0], &gy[0], &x[0], table) },
	axpy:         func(alpha float32, x, y []float32) { axpyAVX512(len(y), alpha, &x[0], &y[0]) },
}

var avx2 = &kernels{
	name: "avx2", width: 16, rows: len(multiplyAVX2), lanes: 8,
	multiply: func(rows, n int, a, panel, c []float32, stride int, start []float32) {
		checkTile(rows, n, a, panel, c, stride, 16)
		multiplyAVX2[rows-1](n, &a[0], &panel[0], &c[0], 4*stride, first(start))
	},
	expScaled:    func(x []float32, scale, top float32) { expScaledAVX2(len(x), &x[0], scale, top, table) },
	gelu:         func(y, x []float32) { geluAVX2(len(y), &y[0], &x[0], table) },
	geluGradient: func(gx, gy, x []float32) { geluGradientAVX2(len(gx), &gx[0], &gy[0], &x[0], table) },
	axpy:         func(alpha float32, x, y []float32) { axpyAVX2(len(y), alpha, &x[0], &y[0]) },
}

// checkTile panics where the assembly would read or write outside of a slice.
func checkTile(rows, n int, a, panel, c []float32, stride, width int) {
	_ = a[(rows-1)*leftStride+n-1]
	_ = panel[n*width-1]
	_ = c[(rows-1)*stride+width-1]
}

func first(x []float32) *float32 {
	if x == nil {
		return nil
	}
	return &x[0]
}
