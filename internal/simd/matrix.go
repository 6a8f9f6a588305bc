package simd

import (
	"fmt"
	"sync"
)

const (
	blockHeight = 512              // rows of the right-hand side that are multiplied at once
	leftStride  = blockHeight + 16 // of the copied left-hand side; a cache line more, see _asm/matrix.go
	blockRows   = 14 * 16          // rows of the left-hand side that are copied at once: they stay in the L2 cache
)

// Matrix is a right-hand side [K, N], packed for the kernels: cut into blocks of
// rows, and each block into panels of neighbouring columns. The zero Matrix is
// empty. Once packed it may be used by any number of goroutines.
type Matrix struct {
	k, n   int
	width  int // of a panel
	values []float32
}

// Pack packs w [k, n], whose rows begin every stride values. A Matrix can be packed
// again and keeps its memory.
func (m *Matrix) Pack(w []float32, stride, k, n int) {
	m.resize(k, n)
	m.eachPanel(func(panel []float32, row, height, column, width int) {
		for i := range height {
			copy(panel[i*m.width:][:width], w[(row+i)*stride+column:])
			clear(panel[i*m.width+width : (i+1)*m.width])
		}
	})
}

// PackTransposed packs the transpose of w [n, k], whose rows begin every stride
// values: the weight of a torch Linear, whose product is x·wᵀ.
func (m *Matrix) PackTransposed(w []float32, stride, n, k int) {
	m.resize(k, n)
	m.eachPanel(func(panel []float32, row, height, column, width int) {
		for j := range m.width {
			if j >= width {
				for i := range height {
					panel[i*m.width+j] = 0
				}
				continue
			}
			for i, v := range w[(column+j)*stride+row:][:height] {
				panel[i*m.width+j] = v
			}
		}
	})
}

func (m *Matrix) resize(k, n int) {
	if k < 1 || n < 1 {
		panic(fmt.Sprintf("simd: a matrix of [%d, %d]", k, n))
	}
	m.k, m.n, m.width = k, n, active.width
	size := k * m.Panels() * m.width
	if cap(m.values) < size {
		m.values = make([]float32, size)
	}
	m.values = m.values[:size]
}

// Panels returns the number of panels, the units in which columns can be divided.
func (m *Matrix) Panels() int { return (m.n + m.width - 1) / m.width }

// eachPanel calls f for every panel of every block: where it lies in the matrix,
// and its rows and columns there.
func (m *Matrix) eachPanel(f func(panel []float32, row, height, column, width int)) {
	for row := 0; row < m.k; row += blockHeight {
		height := min(blockHeight, m.k-row)
		for p := range m.Panels() {
			column := p * m.width
			f(m.panel(row, height, p), row, height, column, min(m.width, m.n-column))
		}
	}
}

func (m *Matrix) panel(row, height, p int) []float32 {
	return m.values[row*m.Panels()*m.width+p*height*m.width:][:height*m.width]
}

// Multiply sets c [rows, N] to a [rows, K] times the panels [from, to) of the
// matrix, plus bias [N] unless it is nil; columns of other panels stay as they are.
// The rows of c and a begin every cStride and aStride values.
func (m *Matrix) Multiply(c []float32, cStride int, a []float32, aStride, rows int, bias []float32, from, to int) {
	if m.width != active.width {
		panic("simd: Multiply: the matrix was packed for another implementation")
	}
	if rows == 0 || from == to {
		return
	}
	w := workspaces.Get().(*workspace)
	defer workspaces.Put(w)
	for row := 0; row < m.k; row += blockHeight {
		height := min(blockHeight, m.k-row)
		for first := 0; first < rows; first += blockRows {
			part := min(blockRows, rows-first)
			for i := range part {
				copy(w.left[i*leftStride:][:height], a[(first+i)*aStride+row:])
			}
			for p := from; p < to; p++ {
				m.multiplyPanel(w, c[first*cStride:], cStride, part, bias, row, p)
			}
		}
	}
}

// workspace is what one call of Multiply needs.
type workspace struct {
	left  []float32 // rows of the left-hand side, every leftStride values
	tile  []float32 // results of a panel that is wider than what is left of c
	start []float32 // what the sums of a panel begin with
}

var workspaces = sync.Pool{New: func() any {
	return &workspace{
		left:  make([]float32, blockRows*leftStride),
		tile:  make([]float32, maxRows*maxWidth),
		start: make([]float32, maxWidth),
	}
}}

// The largest tile of any implementation.
const (
	maxRows  = 14
	maxWidth = 32
)

// multiplyPanel multiplies the copied rows with the panel p of the block that begins
// at row.
func (m *Matrix) multiplyPanel(w *workspace, c []float32, stride, rows int, bias []float32, row, p int) {
	height := min(blockHeight, m.k-row)
	panel := m.panel(row, height, p)
	column := p * m.width
	width := min(m.width, m.n-column)
	var start []float32
	if row == 0 {
		start = w.start[:m.width]
		clear(start)
		if bias != nil {
			copy(start, bias[column:column+width])
		}
	}
	groups := (rows + active.rows - 1) / active.rows
	for g := range groups {
		// Groups of nearly equal size: a group of one row would waste the kernel.
		from, to := g*rows/groups, (g+1)*rows/groups
		left := w.left[from*leftStride:]
		out := c[from*stride+column:]
		if width == m.width {
			active.multiply(to-from, height, left, panel, out, stride, start)
			continue
		}
		if start == nil {
			for i := range to - from {
				copy(w.tile[i*m.width:][:width], out[i*stride:])
			}
		}
		active.multiply(to-from, height, left, panel, w.tile, m.width, start)
		for i := range to - from {
			copy(out[i*stride:][:width], w.tile[i*m.width:])
		}
	}
}
