package simd

import (
	"fmt"
	"testing"
)

// eachLevelBenchmark runs a benchmark with every level that this machine can run.
func eachLevelBenchmark(b *testing.B, f func(b *testing.B)) {
	b.Helper()
	for _, k := range available() {
		b.Run(k.level.String(), func(b *testing.B) {
			defer setLevel(b, k.level)()
			f(b)
		})
	}
}

// shapes of transformers: M rows, K, N.
var shapes = [][3]int{
	{1024, 384, 1536},
	{1024, 1536, 384},
	{1024, 384, 384},
	{1024, 768, 3072},
	{64, 128, 512},
	{32, 384, 384},
	{16, 576, 1536},
	{1, 576, 1536},
	{128, 32, 148},
}

// reportFLOPS reports the rate of products of a shape. The machine's peak is its clock × 32 for AVX2 and, with two
// full-width multipliers, × 64 for AVX-512, for each core.
func reportFLOPS(b *testing.B, shape [3]int) {
	flops := 2 * float64(shape[0]) * float64(shape[1]) * float64(shape[2]) * float64(b.N)
	b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOPS")
}

func benchmarkShapes(b *testing.B, prepare func(m, k, n int) (step func())) {
	for _, s := range shapes {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			eachLevelBenchmark(b, func(b *testing.B) {
				step := prepare(s[0], s[1], s[2])
				for b.Loop() {
					step()
				}
				reportFLOPS(b, s)
			})
		})
	}
}

// With -cpu 1,2 these are the products on one and on two threads.
func BenchmarkMulPackedOnce(b *testing.B) {
	benchmarkShapes(b, func(m, k, n int) func() {
		a, w, c := normal(seeded(1), m*k), normal(seeded(2), k*n), make([]float32, m*n)
		var right Matrix
		right.PackTransposed(w, k, n, k)
		return func() { right.Mul(c, n, a, k, m, nil, false) }
	})
}

// Weights and activations in bfloat16, and weights in float16.
func BenchmarkMulHalf(b *testing.B) {
	bfloat16 := func(x []uint16) Values { return Values{BFloat16: x} }
	float16 := func(x []uint16) Values { return Values{Float16: x} }
	for name, values := range map[string]func([]uint16) Values{"rounded": bfloat16, "bfloat16": bfloat16, "float16": float16} {
		b.Run(name, func(b *testing.B) {
			benchmarkShapes(b, func(m, k, n int) func() {
				a, c := normal(seeded(1), m*k), make([]float32, m*n)
				var right Matrix
				right.PackValues(k, true, false, values(make([]uint16, k*n)))
				multiply := right.Mul
				if name == "rounded" {
					multiply = right.MulRounded
				}
				return func() { multiply(c, n, a, k, m, nil, false) }
			})
		})
	}
}

// Products of few rows, as when text is generated: the weights come from memory, so many that no cache holds them, each
// matrix that of the head of SmolLM2-135M. They are to be read as fast as BenchmarkPeak of package peak reads.
func BenchmarkMulFewRows(b *testing.B) {
	const (
		k, n   = 576, 49152
		memory = 1 << 29 // bytes
	)
	words := make([]uint16, k*n)
	float32s, bfloat16s, float16s := Values{Float32: normal(seeded(2), k*n)}, Values{BFloat16: words}, Values{Float16: words}
	for _, c := range []struct {
		name     string
		values   Values
		multiply func(*Matrix, []float32, int, []float32, int, int, []float32, bool)
		bytes    int // of a value
	}{
		{"float32", float32s, (*Matrix).Mul, 4},
		{"bfloat16", bfloat16s, (*Matrix).Mul, 2},
		{"rounded", bfloat16s, (*Matrix).MulRounded, 2},
		{"float16", float16s, (*Matrix).Mul, 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			eachLevelBenchmark(b, func(b *testing.B) {
				weights := make([]Matrix, memory/(c.bytes*k*n))
				for i := range weights {
					weights[i].PackValues(k, true, false, c.values)
				}
				for _, m := range []int{1, 2, 4, 8, 16} {
					b.Run(fmt.Sprint(m), func(b *testing.B) {
						a, y := normal(seeded(1), m*k), make([]float32, m*n)
						turns := 0
						for b.Loop() {
							c.multiply(&weights[turns%len(weights)], y, n, a, k, m, nil, false)
							turns++
						}
						b.ReportMetric(float64(c.bytes)*k*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
					})
				}
			})
		})
	}
}

func BenchmarkMulPackTransposed(b *testing.B) {
	benchmarkShapes(b, func(m, k, n int) func() {
		a, w, c := normal(seeded(1), m*k), normal(seeded(2), k*n), make([]float32, m*n)
		var right Matrix
		return func() {
			right.PackTransposed(w, k, n, k)
			right.Mul(c, n, a, k, m, nil, false)
		}
	})
}

func BenchmarkMulPack(b *testing.B) {
	benchmarkShapes(b, func(m, k, n int) func() {
		a, w, c := normal(seeded(1), m*k), normal(seeded(2), k*n), make([]float32, m*n)
		var right Matrix
		return func() {
			right.Pack(w, n, k, n)
			right.Mul(c, n, a, k, m, nil, false)
		}
	})
}

// The sum is over the M rows, as in the gradient of a weight.
func BenchmarkGemmTN(b *testing.B) {
	benchmarkShapes(b, func(m, k, n int) func() {
		x, gy, gw := normal(seeded(1), m*k), normal(seeded(2), m*n), make([]float32, n*k)
		return func() { GemmTN(gw, k, gy, n, x, k, n, k, m, true) }
	})
}

func BenchmarkElements(b *testing.B) {
	const n = 1 << 14
	x, y, z := normal(seeded(1), n), make([]float32, n), normal(seeded(2), n)
	m, v := make([]float32, n), make([]float32, n)
	gamma, beta := normal(seeded(3), n), normal(seeded(4), n)
	for _, c := range []struct {
		name  string
		bytes int // read and written for each value
		f     func()
	}{
		{"Exp", 8, func() { Exp(y, x) }},
		{"Tanh", 8, func() { Tanh(y, x) }},
		{"GELU", 8, func() { GELU(y, x) }},
		{"GELUGradient", 12, func() { GELUGradient(y, z, x) }},
		{"SiLU", 8, func() { SiLU(y, x) }},
		{"Add", 12, func() { Add(y, x) }},
		{"Dot", 8, func() { Dot(x, z) }},
		{"SoftmaxRow", 12, func() { SoftmaxRow(y, 1) }},
		{"SoftmaxBackwardRow", 16, func() { SoftmaxBackwardRow(y, z, 1, 0, 1, 0) }},
		{"LayerNormRow", 36, func() { LayerNormRow(y, z, x, gamma, gamma, beta, 1e-5) }},
		{"LayerNormBackwardRow", 28, func() { LayerNormBackwardRow(y, x, z, gamma, 1) }},
		{"AdamW", 28, func() { AdamW(y, x, m, v, AdamWNumbers{1e-3, 0.9, 0.999, 1e-8, 0.01, 7}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			eachLevelBenchmark(b, func(b *testing.B) {
				for b.Loop() {
					c.f()
				}
				seconds := b.Elapsed().Seconds() / float64(b.N)
				b.ReportMetric(seconds*1e9/n, "ns/value")
				b.ReportMetric(float64(c.bytes)*n/seconds/1e9, "GB/s")
			})
		})
	}
}
