package simd

import (
	"math"
	"testing"
)

// Reference outputs of SplitMix64 seeded with 1234567: the first numbers of the Java
// and C implementations that its authors published (prng.di.unimi.it/splitmix64.c).
func TestSplitMix(t *testing.T) {
	counter := uint64(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if counter += weyl; splitMix(counter) != want {
			t.Errorf("output %d is %d, want %d", i, splitMix(counter), want)
		}
	}
}

// All levels drop the same elements, wherever a slice is cut; about as many as p says.
func TestDropout(t *testing.T) {
	const n, key, p = 10_000, 77, 0.3
	x := normal(seeded(1), n)
	want := make([]float32, n)
	dropped := 0
	state := splitMix(key + weyl)
	for i, v := range x {
		if want[i] = v * 1.25; float64(splitMix(state+uint64(i)*weyl)>>32) < float64(float32(p))*(1<<32) {
			want[i] = 0
			dropped++
		}
	}
	if six := 6 * math.Sqrt(n*p*(1-p)); math.Abs(float64(dropped)-n*p) > six {
		t.Errorf("%d of %d elements are dropped, want %v ± %v", dropped, n, n*p, six)
	}
	eachLevel(t, func(t *testing.T) {
		for _, cut := range []int{0, 1, 7, 8, 9, 15, 16, 17, 100, n} {
			y, untouched := inside(t, make([]float32, n))
			Dropout(y[:cut], x[:cut], key, 0, p, 1.25)
			Dropout(y[cut:], x[cut:], key, cut, p, 1.25)
			untouched()
			if !sameBits(y, want) {
				t.Fatalf("cut at %d other elements are dropped", cut)
			}
		}
		y := append([]float32(nil), x...)
		Dropout(y, y, key, 0, p, 1.25)
		if !sameBits(y, want) {
			t.Error("in place other elements are dropped")
		}
	})
}
