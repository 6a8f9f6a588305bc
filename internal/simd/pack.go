package simd

import "fmt"

// Pack packs w [k, n], whose rows begin every stride values. A Matrix can be packed
// again and keeps its memory.
func (b *Matrix) Pack(w []float32, stride, k, n int) {
	b.resize("Pack", Float32, k, n)
	checkMatrix("Pack", "w", len(w), stride, k, n)
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		for i := range height {
			line := panel[i*b.width:][:b.width]
			copy(line, w[(row+i)*stride+column:][:width])
			clear(line[width:])
		}
	})
}

// PackTransposed packs the transpose of w [n, k], whose rows begin every stride
// values: the weight of a torch Linear, whose product is x·wᵀ.
func (b *Matrix) PackTransposed(w []float32, stride, n, k int) {
	b.resize("PackTransposed", Float32, k, n)
	checkMatrix("PackTransposed", "w", len(w), stride, n, k)
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		if width < b.width {
			clear(panel)
		}
		transpose(panel, b.width, w[column*stride+row:], stride, width, height)
	})
}

// PackValues packs v [rows, cols], or its transpose, in the width that it has; rounded,
// as bfloat16.
func (b *Matrix) PackValues(v Values, rows, cols int, transposed, rounded bool) {
	if v.Len() != rows*cols {
		panic(fmt.Sprintf("simd: PackValues: %d values for [%d, %d]", v.Len(), rows, cols))
	}
	switch {
	case v.Float32 != nil && !rounded && transposed:
		b.PackTransposed(v.Float32, cols, rows, cols)
	case v.Float32 != nil && !rounded:
		b.Pack(v.Float32, cols, rows, cols)
	case v.Float16 != nil && !rounded:
		b.packFloat16(v.Float16, rows, cols, transposed)
	case transposed:
		b.packPairsTransposed(v, rows, cols)
	default:
		b.packPairs(v, rows, cols)
	}
}

// packPairs packs v [k, n] as bfloat16: two rows become one of pairs.
func (b *Matrix) packPairs(v Values, k, n int) {
	b.resize("PackValues", BFloat16, k, n)
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		var first, second [maxWidth]uint16
		for i := 0; i < height; i += 2 {
			v.round(first[:width], (row+i)*n+column)
			if i+1 < height {
				v.round(second[:width], (row+i+1)*n+column)
			} else {
				clear(second[:])
			}
			line := bits(panel[i/2*b.width:][:b.width])
			pairWords(line[:width], first[:width], second[:width])
			clear(line[width:])
		}
	})
}

// packPairsTransposed packs the transpose of v [n, k] as bfloat16. Neighbouring values of
// a row are a pair, so that the transpose moves 32 bits at a time.
func (b *Matrix) packPairsTransposed(v Values, n, k int) {
	b.resize("PackValues", BFloat16, k, n)
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		if width < b.width {
			clear(panel)
		}
		steps := b.steps(height)
		buffer := make([]float32, width*steps)
		for j := range width {
			line := words(buffer[j*steps:][:steps])
			v.round(line[:height], (column+j)*k+row)
			clear(line[height:])
		}
		transpose(panel, b.width, buffer, steps, width, steps)
	})
}

func (b *Matrix) packFloat16(w []uint16, rows, cols int, transposed bool) {
	k, n := rows, cols
	if transposed {
		k, n = cols, rows
	}
	b.resize("PackValues", Float16, k, n)
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		to := words(panel)
		if width < b.width {
			clear(panel)
		}
		if !transposed {
			for i := range height {
				copy(to[i*b.width:], w[(row+i)*cols+column:][:width])
			}
			return
		}
		for j := range width {
			for i, v := range w[(column+j)*cols+row:][:height] {
				to[i*b.width+j] = v
			}
		}
	})
}

// maxWidth is the width of a panel at the widest level.
const maxWidth = 32

// eachPanel calls f for every panel of every block: where it lies in the matrix,
// and its rows and columns there.
func (b *Matrix) eachPanel(f func(panel []float32, row, height, column, width int)) {
	Parallel(b.Panels(), packGrain/(b.k*b.width)+1, func(from, to int) {
		for row := 0; row < b.k; row += blockHeight {
			height := min(blockHeight, b.k-row)
			for p := from; p < to; p++ {
				column := p * b.width
				f(b.panel(row, height, p), row, height, column, min(b.width, b.n-column))
			}
		}
	})
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
