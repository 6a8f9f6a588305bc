package main

import (
	"fmt"
	"math"

	"github.com/gopeft/gopeft/models"
)

// roundings is how many times a layer rounds the whole residual stream or what is added
// to it: four products, two of attention, and two norms.
const roundings = 8

// wholeRoundings is that of a language model which is in bfloat16 as a whole, as Python's is:
// beside the eight, each norm's mean and gain, the rotation of queries and keys, the probabilities,
// the activation, the product with its gate, and the residual stream itself after each addition.
const wholeRoundings = 16

// tolerance is how far apart two right implementations may be after one forward pass,
// relative to a value, or absolutely below 1. Rounding errors are independent, so they add
// as squares: u·√(8·L) for the roundings of L layers. In float32 (u = 2⁻²⁴) the sums
// round too, each of its up to K terms: another √K. In bfloat16 (u = 2⁻⁹) the
// operands are rounded and the sums are not. Ids are equal or wrong.
func (r row) tolerance(s sizes) float64 {
	if r.kind == tokenizing {
		return 0 // ids
	}
	depth := float64(roundings * (s.Layers + s.Decoder))
	if r.bf16 {
		if r.task() != models.SeqCls {
			depth *= wholeRoundings / roundings
		}
		return math.Ldexp(1, -9) * math.Sqrt(depth)
	}
	return math.Ldexp(1, -24) * math.Sqrt(depth*float64(s.Intermediate))
}

// stepTolerance is that of the loss of a step, counted from 1. It is a mean over the
// batch, whose sequences round independently, and every step before has moved the
// parameters by errors of its own.
func (r row) stepTolerance(s sizes, step int) float64 {
	return r.tolerance(s) * math.Sqrt(float64(step)/float64(r.data.batch))
}

// compare wants the same numbers of both sides. Those of training are the losses of its
// steps, of which the first and the last are compared. Of generating they are the scores of
// the tokens that were taken.
func (r row) compare(gopeft, python result, s sizes) (worst float64, err error) {
	got, want := gopeft.Check, python.Check
	if len(got) != len(want) || len(got) == 0 {
		return 0, fmt.Errorf("%s: gopeft computed %d numbers, Python %d", r.name, len(got), len(want))
	}
	comparable, err := r.sameTokens(gopeft.Written, python.Written)
	if err != nil {
		return 0, err
	}
	if comparable != nil && len(comparable) != len(got) {
		return 0, fmt.Errorf("%s: gopeft took %d tokens of %d scores", r.name, len(comparable), len(got))
	}
	if python.Scales != nil && len(python.Scales) != len(want) {
		return 0, fmt.Errorf("%s: Python gave %d scales of %d scores", r.name, len(python.Scales), len(want))
	}
	for i := range got {
		if comparable != nil && !comparable[i] {
			continue
		}
		allowed := r.tolerance(s)
		if r.kind == training {
			if i != 0 && i != len(got)-1 {
				continue
			}
			allowed = r.stepTolerance(s, i+1)
		}
		scale := math.Abs(want[i])
		if python.Scales != nil {
			scale = python.Scales[i]
		}
		difference := math.Abs(got[i]-want[i]) / max(1, scale)
		if !(difference <= allowed) {
			return difference, fmt.Errorf("%s: number %d of %d is %v, Python's is %v: they are %.2g apart, want %.2g at most",
				r.name, i+1, len(got), got[i], want[i], difference, allowed)
		}
		worst = max(worst, difference)
	}
	return worst, nil
}

// sameTokens wants the same answers of both sides and tells which scores are to be compared:
// all of them in float32. In bfloat16, where two tokens are nearer to each other than rounding, the
// sides may part. The scores that they took there are both the greatest of almost equal
// scores, and so almost equal; what comes behind has nothing to be compared with.
func (r row) sameTokens(got, want [][]int) (comparable []bool, err error) {
	if len(got) != len(want) {
		return nil, fmt.Errorf("%s: gopeft wrote %d answers, Python %d", r.name, len(got), len(want))
	}
	for i := range got {
		if len(got[i]) != len(want[i]) {
			return nil, fmt.Errorf("%s: answer %d of gopeft has %d tokens, Python's %d", r.name, i+1, len(got[i]), len(want[i]))
		}
		parted := false
		for t, id := range got[i] {
			comparable = append(comparable, !parted)
			parted = parted || id != want[i][t]
			if parted && !r.bf16 {
				return nil, fmt.Errorf("%s: token %d of answer %d is %d, Python's is %d", r.name, t+1, i+1, id, want[i][t])
			}
		}
	}
	return comparable, nil
}
