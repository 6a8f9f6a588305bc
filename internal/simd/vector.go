package simd

import "math"

// Add adds x to dst.
func Add(dst, x []float32) { apply("Add", active.add, dst, x) }

// Mul multiplies dst by x, element by element.
func Mul(dst, x []float32) { apply("Mul", active.mul, dst, x) }

// Axpy adds alpha·x to y.
func Axpy(alpha float32, x, y []float32) {
	sameLength("Axpy", len(y), len(x))
	active.axpy(alpha, x, y)
}

// Scale multiplies x by factor.
func Scale(factor float32, x []float32) { active.scale(factor, x) }

// Sum returns the sum of x, taken in float64.
func Sum(x []float32) float64 { return active.sum(x) }

// Dot returns Σ x·y, taken in float64.
func Dot(x, y []float32) float64 {
	sameLength("Dot", len(x), len(y))
	return active.dot(x, y)
}

// MaxAbs returns the largest magnitude in x: 0 of none, NaN if x has one.
func MaxAbs(x []float32) float32 { return active.maxAbs(x) }

// AdamWNumbers are the numbers of one step of AdamW.
type AdamWNumbers struct {
	LearningRate, Beta1, Beta2, Epsilon, WeightDecay float64
	Step                                             int // counted from 1
}

// AdamW does one step of AdamW (Loshchilov and Hutter 2019) on the values p with the
// gradient g, and updates the means m of the gradient and v of its square, as
// torch.optim.AdamW does: p decays by LearningRate·WeightDecay, and Epsilon is added
// after the bias correction. All levels give the same bits.
func AdamW(p, g, m, v []float32, n AdamWNumbers) {
	sameLength("AdamW", len(p), len(g), len(m), len(v))
	step := float64(n.Step)
	correction1, correction2 := 1-math.Pow(n.Beta1, step), 1-math.Pow(n.Beta2, step)
	active.adamW(p, g, m, v, &[7]float32{
		float32(1 - n.LearningRate*n.WeightDecay),
		float32(n.Beta2),
		float32(1 - n.Beta1),
		float32(1 - n.Beta2),
		float32(n.LearningRate / correction1),
		float32(math.Sqrt(correction2)),
		float32(n.Epsilon),
	})
}
