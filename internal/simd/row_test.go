package simd

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// rowLengths has every tail of the vectors, and rows of models.
func rowLengths() []int {
	lengths := []int{148, 384, 768, 1000}
	for n := 1; n <= 66; n++ {
		lengths = append(lengths, n)
	}
	return lengths
}

func softmaxReference(x []float32, scale float32) []float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v)*float64(scale))
	}
	p, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		p[i] = math.Exp(float64(v)*float64(scale) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// softmaxBound is how far a probability p of n may be off: exp and the quotient add 5e-7; the difference
// to the largest score is rounded to float32, size being the largest magnitude of a score; and the sum adds n/8
// terms in each lane.
func softmaxBound(p, size float64, n int) float64 {
	return p*(5e-7+size*0x1p-23+float64(n)/8*0x1p-24) + denormal
}

func TestSoftmaxRow(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(0, 300).Draw(t, "n")
			x := normal(seeded(rapid.Uint64().Draw(t, "seed")), n)
			Scale(rapid.SampledFrom([]float32{1, 10, 300}).Draw(t, "size"), x)
			scale := rapid.SampledFrom([]float32{1, 0.3, 0.125}).Draw(t, "scale")
			want, scores := softmaxReference(x, scale), slices.Clone(x)
			size, largest := 0.0, -inf
			for _, v := range x {
				size, largest = max(size, math.Abs(float64(v*scale))), max(largest, v*scale)
			}
			top, inverse := SoftmaxRow(x, scale)
			if n > 0 && top != largest {
				t.Fatalf("of %d values the largest is %v, want %v", n, top, largest)
			}
			again := slices.Clone(scores)
			SoftmaxBackwardRow(again, make([]float32, n), scale, top, inverse, 0)
			for i, p := range want {
				bound := softmaxBound(p, size, n)
				if got := float64(x[i]) * float64(inverse); math.Abs(got-p) > bound {
					t.Fatalf("softmax[%d] = %v, want %v ± %v", i, got, p, bound)
				}
				if math.Abs(float64(again[i])-p) > bound {
					t.Fatalf("softmax[%d] of the backward pass = %v, want %v ± %v", i, again[i], p, bound)
				}
			}
		})
	})
}

// Outside witness: torch.softmax, and torch's scaled_dot_product_attention for the row that is masked whole, torch 2.15.
func TestSoftmaxSpecialValues(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, length := range []int{2, 3, 17, 40} {
			row := func(values ...float32) []float32 {
				x := make([]float32, length)
				copy(x, values)
				return x
			}
			masked := row(0, -inf, 1)
			if _, inverse := SoftmaxRow(masked, 2); masked[1] != 0 || inverse != inverse || slices.ContainsFunc(masked, isNaN) {
				t.Errorf("%d values with -Inf become %v, want 0 there and no NaN", length, masked)
			}
			for _, x := range [][]float32{row(0, inf), row(nan), row(0, nan), slices.Repeat([]float32{nan}, length)} {
				if _, inverse := SoftmaxRow(x, 1); !isNaN(inverse) {
					t.Errorf("%d values give %v of which the sum is 1/%v, want NaN", length, x, inverse)
				}
			}
			x := slices.Repeat([]float32{-inf}, length)
			p := slices.Clone(x)
			top, inverse := SoftmaxRow(x, 0.5)
			SoftmaxBackwardRow(p, row(3, 4), 0.5, top, inverse, 1)
			if zero := make([]float32, length); inverse != 0 || !slices.Equal(x, zero) || !slices.Equal(p, zero) {
				t.Errorf("%d values of -Inf give %v, %v and 1/%v, want 0", length, x, p, inverse)
			}
		}
	})
}

func isNaN(v float32) bool { return v != v }

func TestSoftmaxBackwardRow(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range rowLengths() {
			const scale = 0.3
			r := seeded(uint64(n))
			p0, d0 := normal(r, n), normal(r, n)
			probabilities := softmaxReference(p0, scale)
			inner, size := 0.0, 0.0
			for i := range p0 {
				inner += probabilities[i] * float64(d0[i])
				size = max(size, math.Abs(float64(d0[i])))
			}
			top, inverse := SoftmaxRow(slices.Clone(p0), scale)
			p, pUntouched := inside(t, p0)
			d, dUntouched := inside(t, d0)
			SoftmaxBackwardRow(p, d, scale, top, inverse, float32(inner))
			pUntouched()
			dUntouched()
			for i := range d {
				want := scale * probabilities[i] * (float64(d0[i]) - inner)
				if bound := scale * 2 * size * (softmaxBound(probabilities[i], 4, n) + 4*0x1p-24*probabilities[i]); math.Abs(float64(d[i])-want) > bound {
					t.Fatalf("n %d: d[%d] = %v, want %v ± %v", n, i, d[i], want, bound)
				}
			}
		}
	})
}

// normReference returns the normalised row and the inverse deviation in float64.
func normReference(x, residual []float32, eps float64, centered bool) (xhat []float64, rstd float64) {
	n := float64(len(x))
	mean, square := 0.0, 0.0
	for i, v := range x {
		z := float64(v)
		if residual != nil {
			z = float64(v + residual[i])
		}
		xhat = append(xhat, z)
		mean += z / n
	}
	for i := range xhat {
		if centered {
			xhat[i] -= mean
		}
		square += xhat[i] * xhat[i] / n
	}
	rstd = 1 / math.Sqrt(square+eps)
	for i := range xhat {
		xhat[i] *= rstd
	}
	return xhat, rstd
}

type normCase struct {
	name     string
	centered bool
	forward  func(y, xhat, x, residual, gamma, beta []float32, eps float32) float32
	backward func(gx, gy, xhat, gamma []float32, rstd float32)
}

var normCases = []normCase{
	{"LayerNorm", true, LayerNormRow, LayerNormBackwardRow},
	{"RMSNorm", false, func(y, xhat, x, residual, gamma, _ []float32, eps float32) float32 {
		return RMSNormRow(y, xhat, x, residual, gamma, eps)
	}, RMSNormBackwardRow},
}

func TestNorms(t *testing.T) {
	const eps = float32(1e-12)
	for _, c := range normCases {
		t.Run(c.name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T) {
				for _, n := range rowLengths() {
					c.check(t, n, n%2 == 0, eps)
				}
			})
		})
	}
}

func (c normCase) check(t *testing.T, n int, withResidual bool, eps float32) {
	t.Helper()
	r := seeded(uint64(n))
	x, gamma, beta, gy := normal(r, n), normal(r, n), normal(r, n), normal(r, n)
	for i := range x {
		x[i] += 3
	}
	if n == 1 {
		eps = 1 // a single value has no deviation
	}
	var residual []float32
	if withResidual {
		residual = normal(r, n)
	}
	y, yUntouched := inside(t, make([]float32, n))
	xhat, xhatUntouched := inside(t, make([]float32, n))
	rstd := c.forward(y, xhat, x, residual, gamma, beta, eps)
	yUntouched()
	xhatUntouched()
	want, wantRstd := normReference(x, residual, float64(eps), c.centered)
	if math.Abs(float64(rstd)-wantRstd) > 2e-7*wantRstd {
		t.Fatalf("n %d: rstd = %v, want %v", n, rstd, wantRstd)
	}
	for i := range want {
		// The mean, about 3, is rounded to float32 before it is subtracted.
		bound := 4e-7 * (math.Abs(want[i]) + 3*wantRstd)
		if math.Abs(float64(xhat[i])-want[i]) > bound {
			t.Fatalf("n %d: xhat[%d] = %v, want %v ± %v", n, i, xhat[i], want[i], bound)
		}
		result := want[i] * float64(gamma[i])
		if c.centered {
			result += float64(beta[i])
		}
		if math.Abs(float64(y[i])-result) > bound*math.Abs(float64(gamma[i]))+2e-7*math.Abs(result) {
			t.Fatalf("n %d: y[%d] = %v, want %v", n, i, y[i], result)
		}
	}
	c.checkBackward(t, xhat, gy, gamma, rstd)
}

// checkBackward compares with the formula in float64.
func (c normCase) checkBackward(t *testing.T, xhat, gy, gamma []float32, rstd float32) {
	t.Helper()
	n := float64(len(xhat))
	mean, along, size := 0.0, 0.0, 0.0
	for i := range xhat {
		g := float64(gy[i]) * float64(gamma[i])
		mean += g / n
		along += g * float64(xhat[i]) / n
		size = max(size, math.Abs(g))
	}
	if !c.centered {
		mean = 0
	}
	gx, untouched := inside(t, make([]float32, len(xhat)))
	c.backward(gx, gy, xhat, gamma, rstd)
	untouched()
	for i := range gx {
		want := float64(rstd) * (float64(gy[i])*float64(gamma[i]) - mean - float64(xhat[i])*along)
		bound := 8 * 0x1p-24 * float64(rstd) * size * (2 + math.Abs(float64(xhat[i])))
		if math.Abs(float64(gx[i])-want) > bound {
			t.Fatalf("n %v: gx[%d] = %v, want %v ± %v", n, i, gx[i], want, bound)
		}
	}
	inPlace := slices.Clone(gy)
	c.backward(inPlace, inPlace, xhat, gamma, rstd)
	if !sameBits(inPlace, gx) {
		t.Fatal("in place the gradient has other bits")
	}
}

// The gradient agrees with difference quotients of the forward pass.
func TestNormGradientIsThatOfTheNorm(t *testing.T) {
	const n, eps = 19, 1e-5
	for _, c := range normCases {
		r := seeded(3)
		x, gamma, beta, gy := normal(r, n), normal(r, n), normal(r, n), normal(r, n)
		y, xhat, gx := make([]float32, n), make([]float32, n), make([]float32, n)
		value := func() float64 {
			c.forward(y, xhat, x, nil, gamma, beta, eps)
			return Dot(y, gy)
		}
		value()
		rstd := c.forward(y, xhat, x, nil, gamma, beta, eps)
		c.backward(gx, gy, xhat, gamma, rstd)
		for i := range x {
			const h = 1.0 / 128
			before := x[i]
			x[i] = before + h
			up := value()
			x[i] = before - h
			down := value()
			x[i] = before
			if quotient := (up - down) / (2 * h); math.Abs(quotient-float64(gx[i])) > 2e-3 {
				t.Errorf("%s: gx[%d] = %v, the difference quotient %v", c.name, i, gx[i], quotient)
			}
		}
	}
}

// Outside witness: torch's layer_norm, torch 2.15.
func TestNormSpecialValues(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, v := range []float32{nan, inf, -inf} {
			x, one, y := []float32{0, v, 1}, []float32{1, 1, 1}, make([]float32, 3)
			LayerNormRow(y, make([]float32, 3), x, nil, one, one, 1e-5)
			if y[0] == y[0] || y[1] == y[1] || y[2] == y[2] {
				t.Errorf("the norm of %v is %v, want NaN", x, y)
			}
		}
	})
}
