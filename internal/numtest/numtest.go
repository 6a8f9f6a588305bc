// Package numtest holds the numeric checks that the tests of this module
// share: comparing whole slices within a stated tolerance, and checking
// gradients against finite differences. Start at [Close] and [Gradient].
// It is imported by tests only and never computes an expected value from the
// code under test.
//
// There are two ways to check a gradient:
//
//   - An operator has a small float64 reference of its forward pass, written in
//     the test. [Derivative] differentiates that reference numerically, exact
//     to about ten digits, and [Close] compares: this is the sharp check.
//   - A model or an adapter has no reference. [Gradient] perturbs the float32
//     values in place and calls the forward pass itself: a check of the wiring
//     with the accuracy that float32 allows, a few per thousand.
package numtest

import (
	"fmt"
	"math"
	"testing"
)

// Float is a slice element that the checks accept.
type Float interface{ ~float32 | ~float64 }

// Close reports an error unless got and want have the same length and
// |got[i]-want[i]| ≤ atol + rtol·|want[i]| for every i. NaN is close to NaN
// only, an infinity to the same infinity only. The error names the worst
// element and how many are off. The result says whether all were close, so that
// the caller may add what it was comparing.
func Close[G, W Float](t testing.TB, got []G, want []W, rtol, atol float64) bool {
	t.Helper()
	if problem := compare(got, want, rtol, atol); problem != "" {
		t.Error(problem)
		return false
	}
	return true
}

// compare returns what Close reports, or "".
func compare[G, W Float](got []G, want []W, rtol, atol float64) string {
	if len(got) != len(want) {
		return fmt.Sprintf("got %d values, want %d", len(got), len(want))
	}
	off, worst, excess := 0, 0, 0.0
	for i := range got {
		e := beyond(float64(got[i]), float64(want[i]), rtol, atol)
		if e <= 0 {
			continue
		}
		off++
		if e > excess {
			worst, excess = i, e
		}
	}
	if off == 0 {
		return ""
	}
	g, w := float64(got[worst]), float64(want[worst])
	return fmt.Sprintf("%d of %d values differ; worst at %d: got %.9g, want %.9g, difference %.3g, allowed %.3g + %.3g·|want|",
		off, len(got), worst, g, w, math.Abs(g-w), atol, rtol)
}

// beyond returns by how much the difference passes the tolerance; 0 when it does not.
func beyond(got, want, rtol, atol float64) float64 {
	if math.IsNaN(got) && math.IsNaN(want) || got == want {
		return 0
	}
	difference := math.Abs(got - want)
	if math.IsNaN(difference) || math.IsInf(difference, 0) {
		return math.Inf(1)
	}
	return max(0, difference-(atol+rtol*math.Abs(want)))
}

// SameBits reports an error unless got and want are equal bit for bit: zeros
// of different sign differ, and NaNs are equal only in all their bits.
func SameBits(t testing.TB, got, want []float32) bool {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d values, want %d", len(got), len(want))
		return false
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("value %d of %d: got %.9g (%#08x), want %.9g (%#08x)", i, len(got),
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
			return false
		}
	}
	return true
}
