package kernel

import "sync"

// workspace is the memory that one goroutine needs for a piece of work.
type workspace struct {
	buffer []float32
	used   int
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// reset gives back all that was taken.
func (w *workspace) reset() { w.used = 0 }

// take returns a matrix whose values are not set. Its rows begin at cache lines, and not
// at the same place of each page: many rows would share a set of the cache.
func (w *workspace) take(rows, cols int) view {
	const line, page = 16, 1024
	stride := (cols + line - 1) / line * line
	if stride%page == 0 {
		stride += line
	}
	if w.used+rows*stride > len(w.buffer) {
		w.buffer, w.used = make([]float32, 2*(w.used+rows*stride)), 0
	}
	v := view{w.buffer[w.used:][:rows*stride], rows, cols, stride}
	w.used += rows * stride
	return v
}
