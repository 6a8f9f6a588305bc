package layer

import "github.com/gopeft/gopeft/internal/kernel"

// Dropout hands out the masks of one training step: each call of Mask takes the
// next one, so the same seed and the same calls give the same masks. A nil
// *Dropout is evaluation: nothing is dropped.
type Dropout struct {
	seed  uint64
	count uint64
}

// NewDropout returns the dropout of one step. Steps that shall differ need
// different seeds.
func NewDropout(seed uint64) *Dropout { return &Dropout{seed: seed} }

// Mask returns the next mask, with the probability p of dropping an element.
func (d *Dropout) Mask(p float32) kernel.Mask {
	if d == nil {
		return kernel.Mask{}
	}
	d.count++
	return kernel.Mask{P: p, Key: d.seed ^ d.count*0x9e3779b97f4a7c15}
}
