package numtest

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Variable is something a loss depends on: its values, which the check changes
// and restores, and the gradient that the code under test computed for it.
type Variable struct {
	Name  string
	Value []float32
	Grad  []float32
}

// GradientOptions tunes [Gradient]; the zero value of each field is its default.
type GradientOptions struct {
	Step    float64 // distance of the difference, 0 means 1/128; a power of two is exact for values near 1
	RTol    float64 // relative tolerance, 0 means 1e-2
	ATol    float64 // absolute tolerance, 0 means 1e-3: set it to the noise of the loss divided by Step
	Samples int     // elements tried in each variable, 0 means 8; a variable with no more than this is checked whole
	Seed    uint64  // chooses the elements and the direction
}

// Gradient checks the gradient of every variable against fourth-order central
// differences of loss, for a few chosen elements and for one random direction
// through all elements (so that an element which was not chosen cannot hide).
//
// loss runs the forward pass on the current values and returns the loss; sum
// in float64. It must be deterministic: fix dropout masks. The gradients in
// variables are those of the same loss at the values as given.
//
// A float32 loss L carries a noise of about 1e-7·|L|, so differences of it are
// good to about 1e-7·|L|/Step: keep losses near 1, or set ATol.
func Gradient(t testing.TB, variables []Variable, loss func() float64, options *GradientOptions) {
	t.Helper()
	o := GradientOptions{}
	if options != nil {
		o = *options
	}
	o.defaults()
	random := rand.New(rand.NewPCG(o.Seed, 0x6e756d74657374))
	for _, v := range variables {
		if len(v.Value) == 0 || len(v.Value) != len(v.Grad) {
			t.Errorf("%s: %d values and %d gradients", v.Name, len(v.Value), len(v.Grad))
			continue
		}
		for _, i := range choose(random, len(v.Value), o.Samples) {
			want := difference(o.Step, func(step float64) float64 { return at(v.Value, i, step, loss) })
			if beyond(float64(v.Grad[i]), want, o.RTol, o.ATol) > 0 {
				t.Errorf("%s[%d]: gradient %.6g, finite difference %.6g, allowed %.3g + %.3g·|want|",
					v.Name, i, v.Grad[i], want, o.ATol, o.RTol)
			}
		}
		along(t, random, v, loss, o)
	}
}

func (o *GradientOptions) defaults() {
	if o.Step == 0 {
		o.Step = 1.0 / 128
	}
	if o.RTol == 0 {
		o.RTol = 1e-2
	}
	if o.ATol == 0 {
		o.ATol = 1e-3
	}
	if o.Samples == 0 {
		o.Samples = 8
	}
}

// along compares the derivative along a direction of unit length, ±1/√n in
// every element.
func along(t testing.TB, random *rand.Rand, v Variable, loss func() float64, o GradientOptions) {
	t.Helper()
	before := append([]float32(nil), v.Value...)
	defer copy(v.Value, before)
	direction := make([]float64, len(v.Value))
	unit := 1 / math.Sqrt(float64(len(v.Value)))
	got, size := 0.0, 0.0
	for i := range direction {
		direction[i] = unit * float64(2*random.IntN(2)-1)
		got += direction[i] * float64(v.Grad[i])
		size += float64(v.Grad[i]) * float64(v.Grad[i])
	}
	want := difference(o.Step, func(step float64) float64 {
		for i := range direction {
			v.Value[i] = before[i] + float32(step*direction[i])
		}
		return loss()
	})
	// A direction is a sum of terms of both signs: the tolerance follows the
	// length of the gradient, of which the sum is one component.
	if beyond(got, want, 0, o.ATol+o.RTol*math.Sqrt(size)*unit+o.RTol*math.Abs(want)) > 0 {
		t.Errorf("%s: along a random direction: gradient %.6g, finite difference %.6g", v.Name, got, want)
	}
}

// Derivative returns the gradient of loss with respect to x by fourth-order
// central differences in float64 with a step of 2^-9: good to about 1e-10 of the
// size of the loss for a smooth function of order one. It changes x in place while it
// works and restores it.
func Derivative(x []float64, loss func() float64) []float64 {
	gradient := make([]float64, len(x))
	for i, v := range x {
		gradient[i] = difference(1.0/512, func(step float64) float64 {
			x[i] = v + step
			return loss()
		})
		x[i] = v
	}
	return gradient
}

// difference is the five-point stencil: its error is of order step⁴.
func difference(step float64, f func(step float64) float64) float64 {
	return (8*(f(step)-f(-step)) - (f(2*step) - f(-2*step))) / (12 * step)
}

// at evaluates loss with one element moved.
func at(x []float32, i int, step float64, loss func() float64) float64 {
	before := x[i]
	defer func() { x[i] = before }()
	x[i] = before + float32(step)
	return loss()
}

// choose returns up to n different indices below size, in no order.
func choose(random *rand.Rand, size, n int) []int {
	if size <= n {
		n = size
	}
	return random.Perm(size)[:n]
}
