package layer

import "github.com/gopeft/gopeft/internal/kernel"

// Of returns the rotation of a sequence of a length.
func (r *Rope) Of(length int) kernel.RotationOptions { return r.by(length) }
