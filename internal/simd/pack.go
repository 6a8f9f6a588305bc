package simd

import "fmt"

// Pack packs w [k, n], whose rows begin every stride values. A Matrix can be packed
// again and keeps its memory.
func (b *Matrix) Pack(w []float32, stride, k, n int) {
	checkMatrix("Pack", "w", len(w), stride, k, n)
	b.pack("Pack", source{parts: []Values{{Float32: w}}, stride: stride, rows: k, cols: n}, false, Float32)
}

// PackTransposed packs the transpose of w [n, k], whose rows begin every stride
// values: the weight of a torch Linear, whose product is x·wᵀ.
func (b *Matrix) PackTransposed(w []float32, stride, n, k int) {
	checkMatrix("PackTransposed", "w", len(w), stride, n, k)
	b.pack("PackTransposed", source{parts: []Values{{Float32: w}}, stride: stride, rows: n, cols: k}, true, Float32)
}

// PackValues packs a matrix with rows of cols values that lies in parts, one under the
// other, or its transpose. Values keep the width that they have, or are rounded to
// bfloat16. Parts of several widths become float32 if they are not rounded.
func (b *Matrix) PackValues(cols int, transposed, rounded bool, parts ...Values) {
	s := newSource(cols, parts)
	format := s.format
	if rounded {
		format = BFloat16
	}
	b.pack("PackValues", s, transposed, format)
}

func (b *Matrix) pack(f string, s source, transposed bool, format Format) {
	k, n := s.rows, s.cols
	pack := [...]packer{(*Matrix).packFloat32, (*Matrix).packPairs, (*Matrix).packFloat16}[format]
	if transposed {
		k, n = n, k
		pack = [...]packer{(*Matrix).packFloat32Transposed, (*Matrix).packPairsTransposed, (*Matrix).packFloat16Transposed}[format]
	}
	b.resize(f, format, k, n)
	Parallel(b.Panels(), packGrain/(k*b.width)+1, func(from, to int) {
		for row := 0; row < k; row += blockHeight {
			for p := from; p < to; p += packTogether {
				t := strip{row, min(blockHeight, k-row), p, min(p+packTogether, to)}
				if last := t.to - 1; b.columns(last) < b.width {
					clear(b.panel(t.row, t.height, last))
				}
				pack(b, s, t)
			}
		}
	})
}

// strip is what is packed at once: rows [row, row+height) of the panels [from, to).
type strip struct{ row, height, from, to int }

// packTogether is how many panels are packed at once: where rows of the source are rows of the panels, long pieces of
// a row are read, and no more pages written than the processor knows the addresses of.
const packTogether = 16

// columns is how many columns of the matrix are in panel p.
func (b *Matrix) columns(p int) int { return min(b.width, b.n-p*b.width) }

// between is how many columns of the matrix are in the panels [from, to).
func (b *Matrix) between(from, to int) int { return min(to*b.width, b.n) - from*b.width }

// packer fills the panels of a strip.
type packer func(b *Matrix, s source, t strip)

func (b *Matrix) packFloat32(s source, t strip) {
	var wide []float32
	first, columns := t.from*b.width, b.between(t.from, t.to)
	for i := 0; i < t.height; i++ {
		if b.unpackRows(s, t, i) {
			i += b.width - 1
			continue
		}
		part, at := s.row(t.row + i)
		row, _ := part.floats(&wide, at+first, s.stride, 1, columns)
		for p := t.from; p < t.to; p++ {
			copy(b.panel(t.row, t.height, p)[i*b.width:][:b.columns(p)], row[p*b.width-first:])
		}
	}
}

func (b *Matrix) packFloat32Transposed(s source, t strip) {
	var wide []float32
	for p := t.from; p < t.to; p++ {
		if b.unpack(s, t, p) {
			continue
		}
		panel, width := b.panel(t.row, t.height, p), b.columns(p)
		for j := 0; j < width; {
			part, at := s.row(p*b.width + j)
			rows := min(width-j, (part.Len()-at+s.stride-s.cols)/s.stride)
			from, stride := part.floats(&wide, at+t.row, s.stride, rows, t.height)
			transpose(panel[j:], b.width, from, stride, rows, t.height)
			j += rows
		}
	}
}

// packPairs makes a row of pairs of two rows of bfloat16.
func (b *Matrix) packPairs(s source, t strip) {
	var rows [2][packTogether * maxWidth]uint16
	first, columns := t.from*b.width, b.between(t.from, t.to)
	for i := 0; i < t.height; i += 2 {
		for r := range rows {
			row := rows[r][:columns]
			if i+r == t.height {
				clear(row)
				continue
			}
			part, at := s.row(t.row + i + r)
			part.round(row, at+first)
		}
		for p := t.from; p < t.to; p++ {
			width, at := b.columns(p), p*b.width-first
			pairWords(bits(b.panel(t.row, t.height, p)[i/2*b.width:][:width]), rows[0][at:][:width], rows[1][at:][:width])
		}
	}
}

// packPairsTransposed takes neighbouring values of a row as a pair, so that the transpose moves 32 bits at a time.
func (b *Matrix) packPairsTransposed(s source, t strip) {
	steps := b.steps(t.height)
	buffer := make([]float32, b.width*steps)
	for p := t.from; p < t.to; p++ {
		width := b.columns(p)
		for j := range width {
			part, at := s.row(p*b.width + j)
			part.round(words(buffer[j*steps:][:steps])[:t.height], at+t.row)
		}
		transpose(b.panel(t.row, t.height, p), b.width, buffer, steps, width, steps)
	}
}

func (b *Matrix) packFloat16(s source, t strip) {
	for i := range t.height {
		part, at := s.row(t.row + i)
		for p := t.from; p < t.to; p++ {
			copy(words(b.panel(t.row, t.height, p))[i*b.width:], part.Float16[at+p*b.width:][:b.columns(p)])
		}
	}
}

func (b *Matrix) packFloat16Transposed(s source, t strip) {
	for p := t.from; p < t.to; p++ {
		panel := words(b.panel(t.row, t.height, p))
		for j := range b.columns(p) {
			part, at := s.row(p*b.width + j)
			for i, v := range part.Float16[at+t.row:][:t.height] {
				panel[i*b.width+j] = v
			}
		}
	}
}

// source is a matrix in parts, whose rows begin every stride values.
type source struct {
	parts      []Values
	top        int // the first row of the parts that belongs to it
	rows, cols int
	stride     int
	format     Format // of all parts; Float32 if they differ
}

func newSource(cols int, parts []Values) source {
	s := source{parts: parts, cols: cols, stride: cols}
	for i, p := range parts {
		if cols < 1 || p.Len() == 0 || p.Len()%cols != 0 {
			panic(fmt.Sprintf("simd: PackValues: part %d has %d values, for rows of %d", i, p.Len(), cols))
		}
		s.rows += p.Len() / cols
		if f := p.format(); i == 0 {
			s.format = f
		} else if f != s.format {
			s.format = Float32
		}
	}
	return s
}

// row returns the part that holds a row, and where the row begins in it.
func (s source) row(i int) (part Values, at int) {
	at = (s.top + i) * s.stride
	for _, part = range s.parts {
		if at < part.Len() {
			return part, at
		}
		at -= part.Len()
	}
	panic("simd: a row beyond the source")
}

// maxWidth is the width of a panel at the widest level.
const maxWidth = 32

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
