package train

import (
	"fmt"
	"math"
)

// Schedule is how the learning rate changes over a run, after the warm-up.
type Schedule string

// The schedules, as transformers' optimization.py computes them.
const (
	Linear   Schedule = "linear" // down to 0
	Cosine   Schedule = "cosine" // half a wave down to 0
	Constant Schedule = "constant"
)

// Factor returns what the learning rate is multiplied by in a step, counted from 0,
// of a run of so many steps. During the warm-up it rises linearly from 0.
func (s Schedule) Factor(step, warmup, steps int) float64 {
	if step < warmup {
		return float64(step) / float64(max(1, warmup))
	}
	rest := float64(max(1, steps-warmup))
	switch s {
	case Constant:
		return 1
	case Cosine:
		progress := float64(step-warmup) / rest
		return max(0, 0.5*(1+math.Cos(math.Pi*progress)))
	}
	return max(0, float64(steps-step)/rest)
}

func (s Schedule) check() error {
	switch s {
	case Linear, Cosine, Constant:
		return nil
	}
	return fmt.Errorf("found %q, want linear, cosine or constant", string(s))
}
