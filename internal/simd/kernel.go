//go:build (amd64 || arm64) && !purego

package simd

// multiplyKernel computes a tile by assembly; strides are in bytes.
type multiplyKernel = func(n int, a *float32, aStride int, b *float32, bStride, bNext int, c *float32, cStride int, start *float32, groups int, columns uint32)

// run calls a kernel that works on panels of width columns, unless it would read or write outside of a slice.
func (t *tile) run(kernel multiplyKernel, width int, columns uint32) {
	rows := t.rows * t.groups
	if t.op == multiplyTransposed {
		_ = t.a[(t.n-1)*t.aStride+rows-1]
	} else {
		_ = t.a[(rows-1)*t.aStride+t.n-1]
	}
	_ = t.b[(t.panels-1)*t.bNext+(t.n-1)*t.bStride+min(t.bStride, t.columns-(t.panels-1)*width)-1]
	_ = t.c[(rows-1)*t.cStride+t.columns-1]
	if t.start != nil {
		_ = t.start[t.panels*width-1]
	}
	kernel(t.n, &t.a[0], 4*t.aStride, &t.b[0], 4*t.bStride, 4*t.bNext, &t.c[0], 4*t.cStride, first(t.start), t.groups, columns)
}

func first(x []float32) *float32 {
	if x == nil {
		return nil
	}
	return &x[0]
}
