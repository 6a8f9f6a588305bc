package numtest

import "math/rand/v2"

// Normal returns n values drawn from N(0, deviation²), the same for the same
// seed on every machine.
func Normal(seed uint64, n int, deviation float64) []float32 {
	random := rand.New(rand.NewPCG(seed, 0x76616c756573))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(random.NormFloat64() * deviation)
	}
	return x
}

// Wide returns x in float64, for a reference computation.
func Wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// Dot returns the sum of a[i]·b[i] in float64: the loss whose gradient with
// respect to a is b. It panics if the lengths differ.
func Dot[A, B Float](a []A, b []B) float64 {
	if len(a) != len(b) {
		panic("numtest: Dot of different lengths")
	}
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
