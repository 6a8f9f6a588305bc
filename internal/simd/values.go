package simd

// Values are numbers in the width in which a checkpoint holds them: one of the slices
// is set. They may lie in a read-only mapping.
type Values struct {
	Float32  []float32
	BFloat16 []uint16
	Float16  []uint16
	// Release, if set, says that nobody reads the values for now: memory that a mapping
	// takes can go. They can be read again at any time, also while it runs.
	Release func()
}

// Len returns how many there are.
func (v Values) Len() int { return len(v.Float32) + len(v.BFloat16) + len(v.Float16) }

func (v Values) format() Format {
	switch {
	case v.BFloat16 != nil:
		return BFloat16
	case v.Float16 != nil:
		return Float16
	}
	return Float32
}

// Widen sets y to the values that begin at from, which is exact.
func (v Values) Widen(y []float32, from int) {
	switch {
	case v.BFloat16 != nil:
		WidenBFloat16(y, v.BFloat16[from:][:len(y)])
	case v.Float16 != nil:
		WidenFloat16(y, v.Float16[from:][:len(y)])
	default:
		copy(y, v.Float32[from:][:len(y)])
	}
}

// round sets y to the values that begin at from, rounded to bfloat16.
func (v Values) round(y []uint16, from int) {
	switch {
	case v.BFloat16 != nil:
		copy(y, v.BFloat16[from:])
	case v.Float16 != nil:
		var wide [64]float32
		for len(y) > 0 {
			n := min(len(y), len(wide))
			v.Widen(wide[:n], from)
			RoundBFloat16(y[:n], wide[:n])
			y, from = y[n:], from+n
		}
	default:
		RoundBFloat16(y, v.Float32[from:][:len(y)])
	}
}
