package simd

import (
	"math"
	"slices"
	"testing"
)

type activationCase struct {
	name string
	f    func(y, x []float32)
	want func(x float64) float64
	// The bound of the error is relative·|want| + absolute·max(1, |x|).
	relative, absolute float64
	// f of NaN, +Inf, -Inf, 0 and -0. Outside witness: torch 2.15 on a CPU, but for GELU(+Inf), where torch has NaN.
	special []float32
}

// denormal is the distance of denormal float32. What is made of the sigmoid is 0 where e⁻ˣ is
// infinite in float32, where it would be denormal.
const (
	denormal    = 0x1p-149
	leastNormal = 0x1p-126
)

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// phi is Φ, bell its derivative.
func phi(x float64) float64  { return 0.5 * math.Erfc(-x/math.Sqrt2) }
func bell(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

var activationCases = []activationCase{
	{"Exp", Exp, math.Exp, 2.5e-7, denormal, []float32{nan, inf, 0, 1, 1}},
	{"Tanh", Tanh, math.Tanh, 3e-7, denormal, []float32{nan, 1, -1, 0, 0}},
	{"ReLU", ReLU, func(x float64) float64 { return max(x, 0) }, 0, 0, []float32{nan, inf, 0, 0, 0}},
	{"SiLU", SiLU, func(x float64) float64 { return x * logistic(x) }, 5e-7, leastNormal, []float32{nan, inf, nan, 0, 0}},
	{"GELU", GELU, func(x float64) float64 { return x * phi(x) }, 0, 2e-7, []float32{nan, inf, nan, 0, 0}},
	{"GELUTanh", GELUTanh, func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}, 0, 2e-7, []float32{nan, inf, nan, 0, 0}},
}

// samples returns float32 of all sizes, both signs, and a dense grid near 0.
func samples() []float32 {
	var x []float32
	for v := -120.0; v <= 120; v += 0.0103 {
		x = append(x, float32(v))
	}
	for v := -6.0; v <= 6; v += 0.00037 {
		x = append(x, float32(v))
	}
	for e := -149; e <= 127; e++ {
		for _, m := range []float64{1, 1.3, 1.7} {
			v := float32(math.Ldexp(m, e))
			x = append(x, v, -v)
		}
	}
	return x
}

func TestActivations(t *testing.T) {
	x := samples()
	y := make([]float32, len(x))
	for _, c := range activationCases {
		t.Run(c.name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T) {
				c.f(y, x)
				worst := 0.0
				for i, v := range x {
					want := c.want(float64(v))
					if math.Abs(want) > math.MaxFloat32 {
						want = math.Copysign(math.Inf(1), want)
					}
					got := float64(y[i])
					bound := c.relative*math.Abs(want) + c.absolute*max(1, math.Abs(float64(v)))
					if got != want && (math.IsInf(want, 0) || !(math.Abs(got-want) <= bound)) {
						t.Fatalf("%s(%v) = %v, want %v ± %v", c.name, v, got, want, bound)
					}
					if got != want {
						worst = max(worst, math.Abs(got-want)/bound)
					}
				}
				t.Logf("the largest error is %.2f of the bound", worst)
			})
		})
	}
}

func TestActivationSpecialValues(t *testing.T) {
	x := slices.Repeat([]float32{nan, inf, -inf, 0, float32(math.Copysign(0, -1))}, 8)
	y := make([]float32, len(x))
	for _, c := range activationCases {
		eachLevel(t, func(t *testing.T) {
			c.f(y, x)
			for i, got := range y {
				if want := c.special[i%5]; got != want && (got == got || want == want) {
					t.Errorf("%s(%v) = %v, want %v", c.name, x[i], got, want)
				}
			}
		})
	}
}

type gradientCase struct {
	name       string
	f          func(gx, gy, kept []float32)
	derivative func(x float64) float64 // of the kept value
	low, high  float64                 // of kept values
	absolute   float64                 // bound of the error for gy = 1, times max(1, |x|)
}

var gradientCases = []gradientCase{
	{"TanhGradient", TanhGradient, func(y float64) float64 { return 1 - y*y }, -1, 1, 2e-7},
	{"ReLUGradient", ReLUGradient, func(y float64) float64 {
		if y > 0 {
			return 1
		}
		return 0
	}, 0, 5, 0},
	{"SiLUGradient", SiLUGradient, func(x float64) float64 {
		s := logistic(x)
		return s + x*s*(1-s)
	}, -30, 30, 2e-7},
	{"GELUGradient", GELUGradient, func(x float64) float64 { return phi(x) + x*bell(x) }, -15, 15, 2e-7},
	{"GELUTanhGradient", GELUTanhGradient, func(x float64) float64 {
		c := math.Sqrt(2 / math.Pi)
		h := math.Tanh(c * (x + 0.044715*x*x*x))
		return 0.5*(1+h) + 0.5*x*(1-h*h)*c*(1+3*0.044715*x*x)
	}, -15, 15, 2e-7},
}

func TestActivationGradients(t *testing.T) {
	const n = 20011
	for _, c := range gradientCases {
		kept, gy, gx := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range kept {
			kept[i] = float32(c.low + (c.high-c.low)*float64(i)/(n-1))
			gy[i] = 1 + float32(i%3)
		}
		eachLevel(t, func(t *testing.T) {
			c.f(gx, gy, kept)
			worst := 0.0
			for i, v := range kept {
				want := c.derivative(float64(v)) * float64(gy[i])
				e := math.Abs(float64(gx[i])-want) / float64(gy[i]) / max(1, math.Abs(float64(v)))
				if !(e <= c.absolute) {
					t.Fatalf("%s at %v = %v, want %v", c.name, v, gx[i], want)
				}
				worst = max(worst, e)
			}
			t.Logf("%s: the largest error is %.2g", c.name, worst)
			// NaN comes through from either side.
			c.f(gx[:2], []float32{nan, 1}, []float32{0.5, nan})
			if gx[0] == gx[0] || (gx[1] == gx[1] && c.name != "ReLUGradient") {
				t.Errorf("%s of NaN = %v", c.name, gx[:2])
			}
		})
	}
}

// The derivatives agree with differences of the functions.
func TestGradientsAreThoseOfTheFunctions(t *testing.T) {
	for _, p := range []struct {
		f        func(y, x []float32)
		gradient func(gx, gy, kept []float32)
		result   bool // the gradient is made of the result
	}{
		{Tanh, TanhGradient, true},
		{ReLU, ReLUGradient, true},
		{SiLU, SiLUGradient, false},
		{GELU, GELUGradient, false},
		{GELUTanh, GELUTanhGradient, false},
	} {
		const h = 1.0 / 64
		for _, v := range []float32{-3, -1.5, -0.25, 0.25, 1, 2.5} {
			x := []float32{v - h, v, v + h}
			y, gx := make([]float32, 3), make([]float32, 3)
			p.f(y, x)
			kept := x
			if p.result {
				kept = y
			}
			p.gradient(gx, []float32{1, 1, 1}, kept)
			if difference := float64(y[2]-y[0]) / (2 * h); math.Abs(difference-float64(gx[1])) > 1e-4 {
				t.Errorf("at %v the gradient is %v, the difference quotient %v", v, gx[1], difference)
			}
		}
	}
}

// A slice may be cut anywhere: an element's bits do not depend on its place. And nothing beside it is written.
func TestElementsAloneAndTails(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, c := range activationCases {
			x := normal(seeded(1), 80)
			whole := make([]float32, len(x))
			c.f(whole, x)
			for n := range 70 {
				y, untouched := inside(t, make([]float32, n))
				c.f(y, x[3:][:n])
				untouched()
				if !sameBits(y, whole[3:][:n]) {
					t.Fatalf("%s: %d values alone have other bits", c.name, n)
				}
			}
		}
		for _, c := range gradientCases {
			gy, kept := normal(seeded(1), 80), normal(seeded(2), 80)
			whole := make([]float32, len(gy))
			c.f(whole, gy, kept)
			for n := range 70 {
				gx, untouched := inside(t, make([]float32, n))
				c.f(gx, gy[3:][:n], kept[3:][:n])
				untouched()
				if !sameBits(gx, whole[3:][:n]) {
					t.Fatalf("%s: %d values alone have other bits", c.name, n)
				}
			}
		}
	})
}
