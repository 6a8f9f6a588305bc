package simd

import "fmt"

// Matrix is a right-hand side [K, N], packed for the kernels: cut into blocks of
// rows, and each block into panels of neighbouring columns. The zero Matrix is
// empty. Once packed it may be used by any number of goroutines.
type Matrix struct {
	k, n   int
	width  int // of a panel
	values []float32
}

const (
	// blockHeight is how many rows of the right-hand side are multiplied at once: a panel of them stays in the cache.
	blockHeight = 512
	// packGrain is how many values are worth a goroutine when they are packed.
	packGrain = 1 << 17
)

// Pack packs w [k, n], whose rows begin every stride values. A Matrix can be packed
// again and keeps its memory.
func (m *Matrix) Pack(w []float32, stride, k, n int) {
	m.resize("Pack", k, n)
	checkMatrix("Pack", "w", len(w), stride, k, n)
	m.eachPanel(func(panel []float32, row, height, column, width int) {
		for i := range height {
			line := panel[i*m.width:][:m.width]
			copy(line, w[(row+i)*stride+column:][:width])
			clear(line[width:])
		}
	})
}

// PackTransposed packs the transpose of w [n, k], whose rows begin every stride
// values: the weight of a torch Linear, whose product is x·wᵀ.
func (m *Matrix) PackTransposed(w []float32, stride, n, k int) {
	m.resize("PackTransposed", k, n)
	checkMatrix("PackTransposed", "w", len(w), stride, n, k)
	m.eachPanel(func(panel []float32, row, height, column, width int) {
		if width < m.width {
			clear(panel)
		}
		transpose(panel, m.width, w[column*stride+row:], stride, width, height)
	})
}

// K and N return the shape [K, N].
func (m *Matrix) K() int { return m.k }

// N returns the number of columns.
func (m *Matrix) N() int { return m.n }

// Panels returns the number of panels, the units in which columns can be divided.
func (m *Matrix) Panels() int { return (m.n + m.width - 1) / m.width }

func (m *Matrix) resize(function string, k, n int) {
	if k < 1 || n < 1 {
		panic(fmt.Sprintf("simd: %s: a matrix of [%d, %d]", function, k, n))
	}
	m.k, m.n, m.width = k, n, active.width
	size := k * m.Panels() * m.width
	if cap(m.values) < size {
		m.values = aligned(size)
	}
	m.values = m.values[:size]
}

// checkMatrix panics unless a slice of length values holds [rows, cols] at this stride.
func checkMatrix(function, name string, length, stride, rows, cols int) {
	if rows < 0 || cols < 0 || stride < cols || (rows > 0 && cols > 0 && length < (rows-1)*stride+cols) {
		panic(fmt.Sprintf("simd: %s: %s has %d values, for [%d, %d] with stride %d", function, name, length, rows, cols, stride))
	}
}

// eachPanel calls f for every panel of every block: where it lies in the matrix,
// and its rows and columns there.
func (m *Matrix) eachPanel(f func(panel []float32, row, height, column, width int)) {
	Parallel(m.Panels(), packGrain/(m.k*m.width)+1, func(from, to int) {
		for row := 0; row < m.k; row += blockHeight {
			height := min(blockHeight, m.k-row)
			for p := from; p < to; p++ {
				column := p * m.width
				f(m.panel(row, height, p), row, height, column, min(m.width, m.n-column))
			}
		}
	})
}

func (m *Matrix) panel(row, height, p int) []float32 {
	return m.values[row*m.Panels()*m.width+p*height*m.width:][:height*m.width]
}

// transpose writes from [rows, cols] as its transpose.
func transpose(to []float32, toStride int, from []float32, fromStride, rows, cols int) {
	r := 0
	for ; active.transpose != nil && cols >= 8 && r+8 <= rows; r += 8 {
		whole := cols &^ 7
		active.transpose(whole, to[r:], toStride, from[r*fromStride:], fromStride)
		for c := whole; c < cols; c++ {
			for i := range 8 {
				to[c*toStride+r+i] = from[(r+i)*fromStride+c]
			}
		}
	}
	for ; r < rows; r++ {
		for c, v := range from[r*fromStride:][:cols] {
			to[c*toStride+r] = v
		}
	}
}
