package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// eachImplementation runs a test with every implementation that this machine can run.
func eachImplementation(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for _, k := range available() {
		t.Run(k.name, func(t *testing.T) {
			before := active
			active = k
			defer func() { active = before }()
			f(t)
		})
	}
}

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// The error of a sum of k products of float32 is at most k·2⁻²⁴ of the sum of their
// magnitudes (Higham, Accuracy and Stability, §3.1), whatever the order.
func TestMultiply(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rows := rapid.IntRange(1, 40).Draw(t, "rows")
			n := rapid.IntRange(1, 70).Draw(t, "n")
			k := rapid.SampledFrom([]int{1, 2, 3, 5, 31, 64, 511, 512, 513, 1030}).Draw(t, "k")
			transposed := rapid.Bool().Draw(t, "transposed")
			biased := rapid.Bool().Draw(t, "biased")
			pad := rapid.IntRange(0, 3).Draw(t, "pad")
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
			a, aStride := normal(r, rows*(k+pad)), k+pad
			var bias []float32
			if biased {
				bias = normal(r, n)
			}
			var m Matrix
			var b func(i, j int) float64
			if transposed {
				w := normal(r, n*(k+pad))
				m.PackTransposed(w, k+pad, n, k)
				b = func(i, j int) float64 { return float64(w[j*(k+pad)+i]) }
			} else {
				w := normal(r, k*(n+pad))
				m.Pack(w, n+pad, k, n)
				b = func(i, j int) float64 { return float64(w[i*(n+pad)+j]) }
			}
			cStride := n + pad
			c := make([]float32, rows*cStride)
			for i := range c {
				c[i] = 7
			}
			m.Multiply(c, cStride, a, aStride, rows, bias, 0, m.Panels())
			for i := range rows {
				for j := range cStride {
					got := float64(c[i*cStride+j])
					if j >= n {
						if got != 7 {
							t.Fatalf("column %d, outside of the product, was written", j)
						}
						continue
					}
					want, size := 0.0, 0.0
					if bias != nil {
						want = float64(bias[j])
						size = math.Abs(want)
					}
					for l := range k {
						p := float64(a[i*aStride+l]) * b(l, j)
						want += p
						size += math.Abs(p)
					}
					if bound := float64(k+1) * 0x1p-24 * size; !(math.Abs(got-want) <= bound) {
						t.Fatalf("c[%d][%d] = %v, want %v ± %v", i, j, got, want, bound)
					}
				}
			}
		})
	})
}

// Division by rows and by panels changes no bit.
func TestMultiplyDivided(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		const rows, k, n = 61, 700, 130
		a, w := normal(r, rows*k), normal(r, n*k)
		var m Matrix
		m.PackTransposed(w, k, n, k)
		whole := make([]float32, rows*n)
		m.Multiply(whole, n, a, k, rows, nil, 0, m.Panels())
		for _, cut := range []int{1, 13, 14, 15, 30, 60} {
			parts := make([]float32, rows*n)
			m.Multiply(parts, n, a, k, cut, nil, 0, m.Panels())
			m.Multiply(parts[cut*n:], n, a[cut*k:], k, rows-cut, nil, 0, 2)
			m.Multiply(parts[cut*n:], n, a[cut*k:], k, rows-cut, nil, 2, m.Panels())
			if !slices.Equal(parts, whole) {
				t.Errorf("divided at row %d the product has other bits", cut)
			}
		}
	})
}

func TestMultiplySpecialValues(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		inf := float32(math.Inf(1))
		nan := float32(math.NaN())
		var m Matrix
		m.PackTransposed([]float32{1, 1, inf, 1, nan, 1}, 2, 3, 2)
		c := make([]float32, 6)
		m.Multiply(c, 3, []float32{1, 2, 0, 1}, 2, 2, nil, 0, m.Panels())
		if c[0] != 3 || c[1] != inf || c[2] == c[2] || c[3] != 1 || c[4] == c[4] || c[5] == c[5] {
			t.Errorf("got %v, want [3 +Inf NaN 1 NaN NaN]", c)
		}
	})
}

func TestGELU(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		var x []float32
		for v := -12.0; v <= 12; v += 0.001 {
			x = append(x, float32(v))
		}
		y, gx, gy := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
		for i := range gy {
			gy[i] = 2
		}
		GELU(y, x)
		GELUGradient(gx, gy, x)
		for i, f := range x {
			v := float64(f)
			phi := 0.5 * math.Erfc(-v/math.Sqrt2)
			want := v * phi
			slope := 2 * (phi + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi))
			if math.Abs(float64(y[i])-want) > 2e-7*max(1, math.Abs(v)) {
				t.Fatalf("GELU(%v) = %v, want %v", v, y[i], want)
			}
			if math.Abs(float64(gx[i])-slope) > 6e-7 {
				t.Fatalf("2·GELU'(%v) = %v, want %v", v, gx[i], slope)
			}
		}
		for _, n := range []int{0, 1, 7, 8, 15, 16, 17, 33} {
			part := make([]float32, n)
			GELU(part, x[11000:])
			if !slices.Equal(part, y[11000:11000+n]) {
				t.Errorf("the first %d values alone have other bits", n)
			}
		}
		special := []float32{float32(math.NaN()), float32(math.Inf(1)), 0}
		GELU(special, slices.Clone(special))
		if special[0] == special[0] || !math.IsInf(float64(special[1]), 1) || special[2] != 0 {
			t.Errorf("GELU of NaN, +Inf, 0 = %v", special)
		}
	})
}

func TestSoftmax(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(1, 70).Draw(t, "n")
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
			x, d := normal(r, n), normal(r, n)
			Scale(rapid.SampledFrom([]float32{1, 10, 300}).Draw(t, "size"), x)
			const scale = 0.3
			want, sum := make([]float64, n), 0.0
			top := math.Inf(-1)
			for _, v := range x {
				top = max(top, float64(v*scale))
			}
			for i, v := range x {
				want[i] = math.Exp(float64(v*scale) - top)
				sum += want[i]
			}
			p := slices.Clone(x)
			SoftmaxRow(p, scale)
			inner := 0.0
			for i := range want {
				want[i] /= sum
				inner += want[i] * float64(d[i])
				// The largest scale·x and the difference to it are rounded to float32 before exp,
				// 2⁻²⁴ of their sizes, here and in the sum; exp itself adds 5e-7 in both.
				bound := want[i]*(1e-6+(math.Abs(top)+math.Abs(float64(x[i])*scale-top))*0x1p-23) + 1e-37
				if math.Abs(float64(p[i])-want[i]) > bound {
					t.Fatalf("softmax[%d] = %v, want %v", i, p[i], want[i])
				}
			}
			SoftmaxBackwardRow(d, p, scale)
			total := 0.0
			for _, v := range d {
				total += float64(v)
			}
			// A softmax does not change when its input is shifted: the gradient sums to 0.
			if math.Abs(total) > 1e-6*float64(n) {
				t.Fatalf("the gradient sums to %v, want 0", total)
			}
		})
	})
}

func TestSoftmaxBackward(t *testing.T) {
	p, d := []float32{0.2, 0.3, 0.5}, []float32{1, -2, 3}
	SoftmaxBackwardRow(d, p, 2)
	inner := 0.2*1 - 0.3*2 + 0.5*3
	for i, want := range []float64{2 * 0.2 * (1 - inner), 2 * 0.3 * (-2 - inner), 2 * 0.5 * (3 - inner)} {
		if math.Abs(float64(d[i])-want) > 1e-6 {
			t.Errorf("d[%d] = %v, want %v", i, d[i], want)
		}
	}
}

func TestAxpyAndSums(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for n := range 40 {
			r := rand.New(rand.NewPCG(uint64(n), 3))
			x, y := normal(r, n), normal(r, n)
			got := slices.Clone(y)
			Axpy(0.5, x, got)
			sum, dot := 0.0, 0.0
			for i := range x {
				if want := float64(y[i]) + 0.5*float64(x[i]); math.Abs(float64(got[i])-want) > 1e-6 {
					t.Fatalf("Axpy[%d] = %v, want %v", i, got[i], want)
				}
				sum += float64(x[i])
				dot += float64(x[i]) * float64(y[i])
			}
			if math.Abs(Sum(x)-sum) > 1e-12 || math.Abs(Dot(x, y)-dot) > 1e-12 {
				t.Fatalf("Sum, Dot = %v, %v, want %v, %v", Sum(x), Dot(x, y), sum, dot)
			}
		}
	})
}

func BenchmarkMultiply(b *testing.B) {
	for _, s := range [][3]int{{1024, 384, 1536}, {1024, 1536, 384}, {1024, 384, 384}, {32, 384, 384}, {1, 576, 1536}, {128, 32, 148}} {
		for _, k := range available() {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", k.name, s[0], s[1], s[2]), func(b *testing.B) {
				before := active
				active = k
				defer func() { active = before }()
				r := rand.New(rand.NewPCG(0, 0))
				a, w := normal(r, s[0]*s[1]), normal(r, s[1]*s[2])
				c := make([]float32, s[0]*s[2])
				var m Matrix
				m.PackTransposed(w, s[1], s[2], s[1])
				for b.Loop() {
					m.Multiply(c, s[2], a, s[1], s[0], nil, 0, m.Panels())
				}
				flops := 2 * float64(s[0]) * float64(s[1]) * float64(s[2]) * float64(b.N)
				b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOPS")
			})
		}
	}
}

func BenchmarkElements(b *testing.B) {
	r := rand.New(rand.NewPCG(0, 0))
	x, y := normal(r, 1<<14), make([]float32, 1<<14)
	for name, f := range map[string]func(){
		"gelu":         func() { GELU(y, x) },
		"geluGradient": func() { GELUGradient(y, x, x) },
		"softmax":      func() { SoftmaxRow(y, 1) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(len(x)), "ns/value")
		})
	}
}
