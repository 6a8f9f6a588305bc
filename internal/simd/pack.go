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

// PackRounded is Pack with values rounded to bfloat16, ties to even.
func (b *Matrix) PackRounded(w []float32, stride, k, n int) {
	b.resize("PackRounded", BFloat16, k, n)
	checkMatrix("PackRounded", "w", len(w), stride, k, n)
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		var none [maxWidth]float32
		b.eachPair(panel, height, func(line []uint32, i int, whole bool) {
			first, second := w[(row+i)*stride+column:][:width], none[:width]
			if whole {
				second = w[(row+i+1)*stride+column:][:width]
			}
			PairBFloat16(line[:width], first, second)
			clear(line[width:])
		})
	})
}

// PackRoundedTransposed is PackTransposed with values rounded to bfloat16, ties to even.
func (b *Matrix) PackRoundedTransposed(w []float32, stride, n, k int) {
	b.resize("PackRoundedTransposed", BFloat16, k, n)
	checkMatrix("PackRoundedTransposed", "w", len(w), stride, n, k)
	b.packPairs(func(to []uint16, column, row int) { RoundBFloat16(to, w[column*stride+row:][:len(to)]) })
}

// PackHalf packs w [k, n] of 16-bit values in the given format.
func (b *Matrix) PackHalf(format Format, w []uint16, stride, k, n int) {
	b.resizeHalf("PackHalf", format, k, n)
	checkMatrix("PackHalf", "w", len(w), stride, k, n)
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		if format == Float16 {
			for i := range height {
				line := words(panel[i*b.lanes():][:b.lanes()])
				copy(line, w[(row+i)*stride+column:][:width])
				clear(line[width:])
			}
			return
		}
		var none [maxWidth]uint16
		b.eachPair(panel, height, func(line []uint32, i int, whole bool) {
			first, second := w[(row+i)*stride+column:][:width], none[:width]
			if whole {
				second = w[(row+i+1)*stride+column:][:width]
			}
			pairWords(line[:width], first, second)
			clear(line[width:])
		})
	})
}

// PackHalfTransposed packs the transpose of w [n, k] of 16-bit values in the given format.
func (b *Matrix) PackHalfTransposed(format Format, w []uint16, stride, n, k int) {
	b.resizeHalf("PackHalfTransposed", format, k, n)
	checkMatrix("PackHalfTransposed", "w", len(w), stride, n, k)
	if format == BFloat16 {
		b.packPairs(func(to []uint16, column, row int) { copy(to, w[column*stride+row:]) })
		return
	}
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		if width < b.width {
			clear(panel)
		}
		to := words(panel)
		for j := range width {
			for i, v := range w[(column+j)*stride+row:][:height] {
				to[i*b.width+j] = v
			}
		}
	})
}

// maxWidth is the width of a panel at the widest level.
const maxWidth = 32

func (b *Matrix) resizeHalf(function string, format Format, k, n int) {
	if format != BFloat16 && format != Float16 {
		panic(fmt.Sprintf("simd: %s: values of %v do not have 16 bits", function, format))
	}
	b.resize(function, format, k, n)
}

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

// eachPair calls f for every row of pairs of a panel: of rows i and i+1, if there are both.
func (b *Matrix) eachPair(panel []float32, height int, f func(line []uint32, i int, whole bool)) {
	for i := 0; i < height; i += 2 {
		f(bits(panel[i/2*b.width:][:b.width]), i, i+1 < height)
	}
}

// packPairs packs the transpose of a matrix of which read gives part of a row, as bfloat16:
// neighbouring values of a row are a pair, so that the transpose moves 32 bits at a time.
func (b *Matrix) packPairs(read func(to []uint16, row, column int)) {
	b.eachPanel(func(panel []float32, row, height, column, width int) {
		if width < b.width {
			clear(panel)
		}
		steps := b.steps(height)
		buffer := make([]float32, width*steps)
		for j := range width {
			line := words(buffer[j*steps:][:steps])
			read(line[:height], column+j, row)
			clear(line[height:])
		}
		transpose(panel, b.width, buffer, steps, width, steps)
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
