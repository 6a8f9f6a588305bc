package kernel_test

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"pgregory.net/rapid"
)

// drawAttention draws a batch with all that attention knows, large enough for several
// tiles.
func drawAttention(t *rapid.T) attentionShape {
	a := attentionShape{size: rapid.SampledFrom([]int{16, 24, 32, 64, 80, 128, 256}).Draw(t, "size")}
	a.KeyHeads = rapid.IntRange(1, 2).Draw(t, "key heads")
	a.Heads = a.KeyHeads * rapid.IntRange(1, 3).Draw(t, "group")
	a.Causal = rapid.Bool().Draw(t, "causal")
	a.pastRows = rapid.SliceOfN(rapid.IntRange(1, 40), 0, 2).Draw(t, "rows of pasts")
	for range rapid.IntRange(1, 10).Draw(t, "sequences") {
		a.lengths = append(a.lengths, rapid.IntRange(0, 40).Draw(t, "length"))
		a.pasts = append(a.pasts, rapid.IntRange(-1, len(a.pastRows)-1).Draw(t, "past"))
	}
	a.lengths[0] = rapid.SampledFrom([]int{1, 31, 129}).Draw(t, "first length")
	if a.size <= 32 && a.Heads <= 2 {
		a.lengths[0] = rapid.SampledFrom([]int{200, 530}).Draw(t, "long first length")
	}
	if rapid.Bool().Draw(t, "dropout") {
		a.Drop = kernel.Mask{P: 0.3, Key: rapid.Uint64().Draw(t, "key")}
	}
	if rapid.Bool().Draw(t, "cross") {
		a.Causal = false
		for range a.lengths {
			a.own = append(a.own, rapid.SampledFrom([]int{1, 7, 40, 600}).Draw(t, "own keys"))
		}
		return a
	}
	if rapid.Bool().Draw(t, "window") {
		a.Window = rapid.IntRange(1, 150).Draw(t, "width of the window")
	}
	if rapid.Bool().Draw(t, "cap") {
		a.SoftCap = 2
	} else if rapid.Bool().Draw(t, "bias") {
		n := rapid.IntRange(1, 50).Draw(t, "distances")
		a.Bias = &kernel.RelativeBias{Values: numtest.Normal(3, a.Heads*n, 1), Zero: rapid.IntRange(0, n-1).Draw(t, "zero")}
	}
	return a
}

// Outside witness: the definition in float64, with the gradients that follow from it by
// hand, one query at a time.
func TestAttentionRandomShapes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := drawAttention(rt)
		c := a.testCase()
		got := c.execute(t, used(a), leaf)
		want := a.differentiate(c.inputs)
		// A score is a sum of up to 256 products of order one, good to some 1e-6; values go up to 4,
		// and dropout makes them 1.4 times larger.
		numtest.Close(t, got.value, want.value, 1e-5, 1e-5)
		for i, in := range c.inputs {
			if !used(a)(i) {
				continue
			}
			// A gradient of a past is a sum over all queries, of terms that cancel.
			largest := slices.MaxFunc(want.gradients[i], func(x, y float64) int { return int(math.Copysign(1, math.Abs(x)-math.Abs(y))) })
			if !numtest.Close(t, got.gradients[i], want.gradients[i], 1e-5, 1e-5+3e-6*math.Abs(largest)) {
				t.Errorf("in the gradient of %s", in.name)
			}
		}
		if t.Failed() {
			rt.Fatalf("attention of %+v", a)
		}
	})
}

// used tells the inputs that a sequence with rows attends to.
func used(a attentionShape) func(i int) bool {
	return func(i int) bool {
		return i < a.firstPast() || slices.Contains(a.pasts, (i-a.firstPast())/2)
	}
}

// With memory that is not set before, and is NaN after, attention gives the same.
func TestAttentionRandomShapesInPool(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := drawAttention(rt)
		c := a.testCase()
		whole := c.execute(t, used(a), leaf)
		c.runInPool(t, used(a), whole)
		c.runInPool(t, none, whole)
		if t.Failed() {
			rt.Fatalf("attention of %+v", a)
		}
	})
}

// Results do not depend on GOMAXPROCS, nor on what else requires a gradient.
func TestAttentionSameBits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := drawAttention(rt)
		c := a.testCase()
		whole := c.execute(t, used(a), leaf)
		for _, n := range []int{1, 2, 5} {
			before := runtime.GOMAXPROCS(n)
			same(t, c.execute(t, used(a), leaf), whole)
			runtime.GOMAXPROCS(before)
		}
		i := rapid.IntRange(0, len(c.inputs)-1).Draw(rt, "input")
		if used(a)(i) {
			one := c.execute(t, func(j int) bool { return i == j }, leaf)
			numtest.SameBits(t, one.gradients[i], whole.gradients[i])
		}
		if t.Failed() {
			rt.Fatalf("attention of %+v", a)
		}
	})
}

// wide is an outcome in float64.
type wide struct {
	value     []float64
	gradients [][]float64
}

// differentiate computes the value and the gradients of Σ weight·value, by the formulas
// dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P∘(dP - Σ P∘dP), dQ = scale·dS·K, dK = scale·dSᵀ·Q.
func (a attentionShape) differentiate(inputs []input) wide {
	var x [][]float64
	out := wide{}
	for _, in := range inputs {
		x = append(x, numtest.Wide(in.values))
		out.gradients = append(out.gradients, make([]float64, len(in.values)))
	}
	out.value = a.reference(x)
	rows := len(x[0]) / a.width()
	weight := numtest.Wide(numtest.Normal(99, rows*a.Heads*a.size, 1))
	factors := maskOf(a.Drop, a.elements())
	scale := 1 / math.Sqrt(float64(a.size))
	for i, span := range a.spans() {
		for h := range a.Heads {
			keys, values := a.keysAndValues(x, i, h)
			dKeys, dValues := a.keysAndValues(out.gradients, i, h)
			for r := span.Start; r < span.End; r++ {
				query, dQuery := x[0][r*a.width()+h*a.size:][:a.size], out.gradients[0][r*a.width()+h*a.size:][:a.size]
				dOut := weight[(r*a.Heads+h)*a.size:][:a.size]
				scores := a.scores(query, keys, h, len(keys)-span.End+r)
				p := softmax(scores)
				dP, inner := make([]float64, len(p)), 0.0
				for j := range p {
					add(dValues[j], p[j]*factors[j], dOut)
					dP[j] = factors[j] * numtest.Dot(dOut, values[j])
					inner += p[j] * dP[j]
				}
				for j := range p {
					dS := scale * p[j] * (dP[j] - inner)
					if a.SoftCap > 0 && p[j] > 0 {
						x := scores[j] / float64(a.SoftCap)
						dS *= 1 - x*x
					}
					add(dQuery, dS, keys[j])
					add(dKeys[j], dS, query)
				}
				factors = factors[len(keys):]
			}
		}
	}
	return out
}

func add(y []float64, factor float64, x []float64) {
	for i, v := range x {
		y[i] += factor * v
	}
}
