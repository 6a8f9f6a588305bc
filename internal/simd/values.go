package simd

// Values are numbers as a checkpoint holds them: one of the fields is set, beside
// Release. They may lie in a read-only mapping.
type Values struct {
	Float32  []float32
	BFloat16 []uint16
	Float16  []uint16
	Blocks   Blocks
	// Release, if set, says that nobody reads the values for now: memory that a mapping
	// takes can go. They can be read again at any time, also while it runs.
	Release func()
}

// Blocks are numbers that share scales with their neighbours. A product takes them as
// float32, which [MulParts] makes of them in registers, and packing in memory.
type Blocks interface {
	// Len returns how many there are.
	Len() int
	// Widen sets y to the values that begin at from.
	Widen(y []float32, from int)
	// Layout returns ggml's name of the blocks' type, and the blocks, row by row as ggml has
	// them; "" and nil where there is no such type.
	Layout() (name string, blocks []byte)
}

// Len returns how many there are.
func (v Values) Len() int {
	if v.Blocks != nil {
		return v.Blocks.Len()
	}
	return len(v.Float32) + len(v.BFloat16) + len(v.Float16)
}

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
	case v.Blocks != nil:
		v.Blocks.Widen(y, from)
	case v.BFloat16 != nil:
		WidenBFloat16(y, v.BFloat16[from:][:len(y)])
	case v.Float16 != nil:
		WidenFloat16(y, v.Float16[from:][:len(y)])
	default:
		copy(y, v.Float32[from:][:len(y)])
	}
}

// floats returns rows of cols values that begin every stride values from at on, and how far
// apart they are: in place where they are float32, else widened into the buffer, which grows.
func (v Values) floats(buffer *[]float32, at, stride, rows, cols int) (x []float32, apart int) {
	if v.Float32 != nil {
		return v.Float32[at:], stride
	}
	if len(*buffer) < rows*cols {
		*buffer = make([]float32, rows*cols)
	}
	for r := range rows {
		v.Widen((*buffer)[r*cols:][:cols], at+r*stride)
	}
	return *buffer, cols
}

// round sets y to the values that begin at from, rounded to bfloat16.
func (v Values) round(y []uint16, from int) {
	switch {
	case v.BFloat16 != nil:
		copy(y, v.BFloat16[from:])
	case v.Float32 == nil:
		var wide [256]float32
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
