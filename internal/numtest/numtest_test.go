package numtest

import (
	"math"
	"testing"
)

// recorder is a testing.TB that keeps only whether it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Error(...any)          { r.failed = true }
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestClose(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		name       string
		got, want  []float64
		rtol, atol float64
		close      bool
	}{
		{"equal", []float64{1, 2}, []float64{1, 2}, 0, 0, true},
		{"within relative", []float64{1.01}, []float64{1}, 0.02, 0, true},
		{"within absolute", []float64{0.01}, []float64{0}, 0, 0.02, true},
		{"beyond", []float64{1, 1.1}, []float64{1, 1}, 0.02, 0.01, false},
		{"lengths", []float64{1}, []float64{1, 1}, 1, 1, false},
		{"NaN for a number", []float64{nan}, []float64{1}, 1, 1, false},
		{"number for NaN", []float64{1}, []float64{nan}, 1, 1, false},
		{"NaN for NaN", []float64{nan}, []float64{nan}, 0, 0, true},
		{"infinity", []float64{inf}, []float64{inf}, 0, 0, true},
		{"other infinity", []float64{inf}, []float64{-inf}, 1, 1, false},
		{"infinity for a number", []float64{inf}, []float64{1}, 1, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			if got := Close(r, tt.got, tt.want, tt.rtol, tt.atol); got != tt.close || r.failed == got {
				t.Errorf("Close() = %v, failed %v, want %v", got, r.failed, tt.close)
			}
		})
	}
}

func TestSameBits(t *testing.T) {
	negative := float32(math.Copysign(0, -1))
	r := &recorder{TB: t}
	if !SameBits(r, []float32{1, negative}, []float32{1, negative}) || r.failed {
		t.Error("equal slices differ")
	}
	if SameBits(r, []float32{0}, []float32{negative}) || !r.failed {
		t.Error("zeros of different sign are the same")
	}
}

// The loss Σ exp(x)·w has the gradient exp(x)·w.
func TestGradient(t *testing.T) {
	x, w := Normal(1, 40, 0.5), Normal(2, 40, 0.2)
	gradient := make([]float32, len(x))
	for i := range x {
		gradient[i] = float32(math.Exp(float64(x[i]))) * w[i]
	}
	loss := func() float64 {
		sum := 0.0
		for i := range x {
			sum += math.Exp(float64(x[i])) * float64(w[i])
		}
		return sum
	}
	before := append([]float32(nil), x...)
	Gradient(t, []Variable{{"x", x, gradient}}, loss, nil)
	SameBits(t, x, before)

	for i := range gradient {
		wrong := append([]float32(nil), gradient...)
		wrong[i] += 0.2
		r := &recorder{TB: t}
		Gradient(r, []Variable{{"x", x, wrong}}, loss, nil)
		if !r.failed {
			t.Errorf("a wrong gradient in element %d was not seen", i)
		}
	}
}

func TestDerivative(t *testing.T) {
	x := Wide(Normal(3, 12, 1))
	want := make([]float64, len(x))
	for i, v := range x {
		want[i] = math.Cos(v)
	}
	got := Derivative(x, func() float64 {
		sum := 0.0
		for _, v := range x {
			sum += math.Sin(v)
		}
		return sum
	})
	Close(t, got, want, 0, 1e-10)
}
