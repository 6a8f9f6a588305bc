package kernel_test

import (
	"math"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/mat"
)

func TestDropout(t *testing.T) {
	mask := kernel.Mask{P: 0.3, Key: 42}
	operatorCase{
		inputs: []input{random("x", 30, 40)},
		build:  func(x []mat.Tensor) mat.Tensor { return kernel.Dropout(x[0], mask) },
		reference: func(x [][]float64) []float64 {
			y := maskOf(mask, len(x[0]))
			for i := range y {
				y[i] *= x[0][i]
			}
			return y
		},
	}.run(t)
}

func TestDropoutOfNothing(t *testing.T) {
	x := kernel.NewParam(2, 2, nil)
	if y := kernel.Dropout(x, kernel.Mask{Key: 3}); y != mat.Tensor(x) {
		t.Errorf("Dropout with P = 0 is %T, want its operand", y)
	}
}

// The gradient of Σ y is the mask that the forward pass applied.
func TestDropoutMaskIsTheSameBackward(t *testing.T) {
	mask := kernel.Mask{P: 0.5, Key: 1}
	c := operatorCase{
		inputs: []input{random("x", 100, 100)},
		build:  func(x []mat.Tensor) mat.Tensor { return kernel.Dropout(x[0], mask) },
	}
	got, weight := c.execute(t, all, leaf), numtest.Normal(99, 10000, 1)
	for i, x := range c.inputs[0].values {
		if got.value[i] != 0 && got.value[i] != 2*x {
			t.Fatalf("value %d is %v, want 0 or twice %v", i, got.value[i], x)
		}
		if (got.value[i] == 0) != (got.gradients[0][i] == 0) || got.gradients[0][i] != 0 && got.gradients[0][i] != 2*weight[i] {
			t.Fatalf("element %d: value %v, gradient %v", i, got.value[i], got.gradients[0][i])
		}
	}
}

// The share of dropped elements, neighbours, and the masks of neighbouring keys
// behave as independent draws do. The bound is five standard deviations: with
// fixed keys the test always does the same.
func TestDropoutStatistics(t *testing.T) {
	const n = 1 << 18
	for _, p := range []float32{0.1, 0.5, 0.9} {
		a, b := maskOf(kernel.Mask{P: p, Key: 10}, n), maskOf(kernel.Mask{P: p, Key: 11}, n)
		share := func(name string, want float64, both func(i int) bool) {
			t.Helper()
			count := 0
			for i := range n - 512 {
				if both(i) {
					count++
				}
			}
			got, deviation := float64(count)/(n-512), math.Sqrt(want*(1-want)/(n-512))
			if math.Abs(got-want) > 5*deviation {
				t.Errorf("p = %v, %s: share %.5f, want %.5f ± %.5f", p, name, got, want, 5*deviation)
			}
		}
		q := float64(p)
		share("dropped", q, func(i int) bool { return a[i] == 0 })
		for _, lag := range []int{1, 2, 64, 384, 512} {
			share("lag", q*q, func(i int) bool { return a[i] == 0 && a[i+lag] == 0 })
		}
		share("next key", q*q, func(i int) bool { return a[i] == 0 && b[i] == 0 })
		share("next key, shifted", q*q, func(i int) bool { return a[i+1] == 0 && b[i] == 0 })
		for i, v := range a {
			if v != 0 && v != float64(1/(1-p)) {
				t.Fatalf("factor %d is %v, want 0 or %v", i, v, 1/(1-p))
			}
		}
	}
}
