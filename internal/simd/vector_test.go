package simd

import (
	"math"
	"slices"
	"testing"
)

func TestElementwise(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(y, x []float32)
		want func(y, x float64) float64
	}{
		"Add":   {Add, func(y, x float64) float64 { return y + x }},
		"Mul":   {Mul, func(y, x float64) float64 { return y * x }},
		"Axpy":  {func(y, x []float32) { Axpy(0.7, x, y) }, func(y, x float64) float64 { return y + float64(float32(0.7))*x }},
		"Scale": {func(y, _ []float32) { Scale(0.7, y) }, func(y, _ float64) float64 { return float64(float32(0.7)) * y }},
	} {
		t.Run(name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T) {
				for n := range 70 {
					r := seeded(uint64(n))
					y0, x := normal(r, n), normal(r, n)
					y, untouched := inside(t, y0)
					c.f(y, x)
					untouched()
					for i := range y {
						want := c.want(float64(y0[i]), float64(x[i]))
						size := math.Abs(float64(y0[i])) + math.Abs(float64(x[i]))
						if math.Abs(float64(y[i])-want) > 0x1p-23*size {
							t.Fatalf("n %d: y[%d] = %v, want %v", n, i, y[i], want)
						}
					}
				}
			})
		})
	}
}

// The sums are exact to float64: values of float32 have 24 bits, their products 48.
func TestSums(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for n := range 150 {
			r := seeded(uint64(n))
			x, y := normal(r, n), normal(r, n)
			sum, squares, dot, top := 0.0, 0.0, 0.0, float32(0)
			for i, v := range x {
				sum += float64(v)
				squares += float64(v) * float64(v)
				dot += float64(v) * float64(y[i])
				top = max(top, float32(math.Abs(float64(v))))
			}
			bound := 1e-15 * float64(n) * (1 + squares)
			if math.Abs(Sum(x)-sum) > bound || math.Abs(Dot(x, x)-squares) > bound || math.Abs(Dot(x, y)-dot) > bound {
				t.Fatalf("n %d: %v, %v, %v, want %v, %v, %v", n, Sum(x), Dot(x, x), Dot(x, y), sum, squares, dot)
			}
			if MaxAbs(x) != top {
				t.Fatalf("n %d: MaxAbs = %v, want %v", n, MaxAbs(x), top)
			}
		}
		large := slices.Repeat([]float32{1e30}, 40)
		if got, want := Dot(large, large), 40*float64(float32(1e30))*float64(float32(1e30)); math.Abs(got-want) > 1e-12*want {
			t.Errorf("the squares of 1e30 sum to %v, want %v", got, want)
		}
	})
}

func TestSumsSpecialValues(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 16, 33} {
			for at := range n {
				x := make([]float32, n)
				x[at] = -inf
				if MaxAbs(x) != inf || Sum(x) != math.Inf(-1) || Dot(x, x) != math.Inf(1) {
					t.Fatalf("with -Inf at %d of %d: %v, %v, %v", at, n, MaxAbs(x), Sum(x), Dot(x, x))
				}
				x[n-1-at] = nan
				if v := MaxAbs(x); v == v || !math.IsNaN(Sum(x)) || !math.IsNaN(Dot(x, x)) {
					t.Fatalf("with NaN at %d of %d: %v, %v", n-1-at, n, MaxAbs(x), Sum(x))
				}
			}
		}
	})
}

// Expected values by torch 2.15: torch.optim.AdamW on float32 with lr 0.1, betas (0.9, 0.999), eps 1e-3, weight_decay
// 0.01, three steps with the gradients g, g/2 and -g.
func TestAdamWAsTorch(t *testing.T) {
	want := adamWByTorch
	eachLevel(t, func(t *testing.T) {
		p, g := slices.Clone(adamWStart), slices.Clone(adamWGradient)
		m, v, scaled := make([]float32, len(p)), make([]float32, len(p)), make([]float32, len(p))
		for step, factor := range []float32{1, 0.5, -1} {
			copy(scaled, g)
			Scale(factor, scaled)
			AdamW(p, scaled, m, v, AdamWNumbers{LearningRate: 0.1, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-3, WeightDecay: 0.01, Step: step + 1})
			for i := range p {
				if math.Abs(float64(p[i]-want[step][i])) > 2e-7*max(1, math.Abs(float64(want[step][i]))) {
					t.Errorf("step %d: p[%d] = %v, want %v", step+1, i, p[i], want[step][i])
				}
			}
		}
	})
}

// All levels give the same bits, whatever the tail.
func TestAdamWBits(t *testing.T) {
	for n := range 40 {
		var first [][]float32
		eachLevel(t, func(t *testing.T) {
			r := seeded(uint64(n))
			var slicesOf [][]float32
			for range 4 {
				x, untouched := inside(t, normal(r, n))
				defer untouched()
				slicesOf = append(slicesOf, x)
			}
			for i, v := range slicesOf[3] {
				slicesOf[3][i] = v * v
			}
			AdamW(slicesOf[0], slicesOf[1], slicesOf[2], slicesOf[3], AdamWNumbers{1e-3, 0.9, 0.999, 1e-8, 0.01, 7})
			if first == nil {
				first = slicesOf
			}
			for i := range first {
				if !sameBits(first[i], slicesOf[i]) {
					t.Errorf("slice %d of %d values has other bits than at the best level", i, n)
				}
			}
		})
	}
}

var (
	adamWStart    = []float32{1.0, -0.5, 0.25, 3.0, -2.0, 0.001, 100.0}
	adamWGradient = []float32{0.5, -0.001, 2.0, -30.0, 1e-06, 0.0, 0.1}
	adamWByTorch  = [][]float32{
		{0.899199605, -0.449500024, 0.149799988, 3.09699655, -1.99809992, 0.00099900004, 99.8009949},
		{0.8053177, -0.407896519, 0.0564911515, 3.18711352, -1.99617553, 0.00099800108, 99.6091385},
		{0.793459594, -0.402347147, 0.0453627482, 3.19500422, -1.9941889, 0.000997003051, 99.4985809},
	}
)
