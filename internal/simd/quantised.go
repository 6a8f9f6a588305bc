package simd

import (
	"slices"
	"sync"
)

const (
	// readBlocks is up to how many rows it is faster to multiply blocks as they are than to pack them first.
	readBlocks = 16
	// stripValues is how many values of packed columns stay in the cache while rows are multiplied with them.
	stripValues = 1 << 18
	// manyTogether is how many panels many rows are multiplied with at least, each time that they are read.
	manyTogether = 8
)

// quantised are the kernels of a layout of blocks. They take as many rows of whole blocks as a panel has columns.
type quantised struct {
	elements, bytes int
	// unpack sets y to the transpose of count blocks in each row.
	unpack func(blocks *byte, rowBytes, count int, y, scratch *float32)
	// multiply multiplies 1, 2 and 4 rows x, whose elements lie beside each other: y = start + x·wᵀ.
	multiply [3]quantisedKernel
}

type quantisedKernel = func(blocks *byte, rowBytes, count int, x, y *float32, yStride int, start, scratch *float32)

// ReadsBlocks tells whether all parts are of blocks that this CPU can multiply as they are.
func ReadsBlocks(parts ...Values) bool {
	return !slices.ContainsFunc(parts, func(p Values) bool { q, _ := p.quantised(); return q == nil })
}

// quantised returns the kernels of the values' blocks, nil if there are none, and the blocks.
func (v Values) quantised() (*quantised, []byte) {
	if v.Blocks == nil {
		return nil, nil
	}
	layout, data := v.Blocks.Layout()
	return active.quantised[layout], data
}

// MulParts sets c [m, N] to a [m, cols] times the transpose of a matrix of N rows of cols values that lies in parts, plus bias
// [N], which may be nil: it is [Matrix.Mul] to the bit. With few rows blocks that the CPU knows are read as they are; else some
// columns at a time are packed. Nothing is kept.
func MulParts(c []float32, ldc int, a []float32, lda, m int, bias []float32, cols int, parts ...Values) {
	s := newSource(cols, parts)
	checkMatrix("MulParts", "c", len(c), ldc, m, s.rows)
	checkMatrix("MulParts", "a", len(a), lda, m, cols)
	if bias != nil {
		sameLength("MulParts", s.rows, len(bias))
	}
	if m == 0 {
		return
	}
	p := product{c: c, cStride: ldc, a: a, aStride: lda, rows: m, bias: bias}
	width := active.width
	panels := (s.rows + width - 1) / width
	if m > readBlocks {
		p.strips(s, panels)
		return
	}
	buffer := beside.Get().(*[]float32)
	defer beside.Put(buffer)
	*buffer = groupRows(*buffer, a, lda, m, cols)
	Parallel(panels, worth/(readingRows*cols*width)+1, func(from, to int) {
		w := workspaces.Get().(*workspace)
		defer workspaces.Put(w)
		for at, end := from*width, min(to*width, s.rows); at < end; {
			columns := min(width, end-at, s.left(at))
			if q, blocks, rowBytes := s.blocks(at, width); q != nil && columns == width {
				q.rows(w, blocks, rowBytes, *buffer, p, cols, at)
			} else {
				p.columns(s, at, columns)
			}
			at += columns
		}
	})
}

// strips packs a strip of panels at a time, and multiplies all rows with it: it is still in the cache.
func (p product) strips(s source, panels int) {
	width := active.width
	together := max(1, stripValues/(s.cols*width))
	if p.rows >= fewRows {
		together = max(together, manyTogether)
	}
	Parallel(panels, worth/(p.rows*s.cols*width)+1, func(from, to int) {
		for ; from < to; from += together {
			end := min(min(from+together, to)*width, s.rows)
			p.columns(s, from*width, end-from*width)
		}
	})
}

// beside are left-hand sides whose rows lie beside each other.
var beside = sync.Pool{New: func() any { return new([]float32) }}

// group is how many of the rows that are left a kernel takes: 4, 2 or 1, 2^which.
func group(left int) (size, which int) {
	switch {
	case left >= 4:
		return 4, 2
	case left >= 2:
		return 2, 1
	}
	return 1, 0
}

// groupRows copies a, so that the rows of a group lie beside each other.
func groupRows(to, a []float32, lda, m, k int) []float32 {
	to = slices.Grow(to[:0], m*k)[:m*k]
	for first, size := 0, 0; first < m; first += size {
		size, _ = group(m - first)
		for r := range size {
			for i, v := range a[(first+r)*lda:][:k] {
				to[first*k+i*size+r] = v
			}
		}
	}
	return to
}

// left is how many rows are left of the part that holds row i, from there on.
func (s source) left(i int) int {
	part, at := s.row(i)
	return (part.Len() - at) / s.stride
}

// blocks returns the kernels for count rows from row i on, where they can take them, the blocks, and the bytes of a row.
func (s source) blocks(i, count int) (q *quantised, blocks []byte, rowBytes int) {
	part, at := s.row(i)
	q, blocks = part.quantised()
	if q == nil || s.stride%q.elements != 0 || (part.Len()-at)/s.stride < count {
		return nil, nil, 0
	}
	rowBytes = s.stride / q.elements * q.bytes
	return q, blocks[at/s.stride*rowBytes:][:count*rowBytes], rowBytes
}

// rows computes a panel of columns of a product, from column at on.
func (q *quantised) rows(w *workspace, blocks []byte, rowBytes int, x []float32, p product, k, at int) {
	start := w.starts(p.bias, at, active.width, active.width)
	for first := 0; first < p.rows; {
		size, which := group(p.rows - first)
		c := p.c[first*p.cStride+at:][:(size-1)*p.cStride+active.width]
		q.multiply[which](&blocks[0], rowBytes, rowBytes/q.bytes, &x[first*k:][:size*k][0], &c[0], 4*p.cStride, &start[0], &w.scratch()[0])
		first += size
	}
}

// columns computes columns of a product by packing them.
func (p product) columns(s source, at, count int) {
	right := matrices.Get().(*Matrix)
	defer matrices.Put(right)
	s.top, s.rows = at, count
	right.pack("MulParts", s, true, Float32)
	p.c = p.c[at:]
	if p.bias != nil {
		p.bias = p.bias[at:][:count]
	}
	right.multiply(p, 0, right.Panels())
}

// unpack fills panel p of a strip from blocks, if a kernel knows them.
func (b *Matrix) unpack(s source, t strip, p int) bool {
	if b.columns(p) < b.width {
		return false
	}
	q, blocks, rowBytes := s.blocks(p*b.width, b.width)
	if q == nil {
		return false
	}
	w := workspaces.Get().(*workspace)
	defer workspaces.Put(w)
	panel := b.panel(t.row, t.height, p)
	for row := 0; row < t.height; {
		block, skip := (t.row+row)/q.elements, (t.row+row)%q.elements
		whole := (t.height - row) / q.elements
		if skip == 0 && whole > 0 {
			q.unpack(&blocks[block*q.bytes], rowBytes, whole, &panel[row*b.width], &w.scratch()[0])
			row += whole * q.elements
			continue
		}
		// A block that straddles strips is unpacked for each.
		w.block = grown(w.block, q.elements*b.width)
		q.unpack(&blocks[block*q.bytes], rowBytes, 1, &w.block[0], &w.scratch()[0])
		rows := min(q.elements-skip, t.height-row)
		copy(panel[row*b.width:][:rows*b.width], w.block[skip*b.width:])
		row += rows
	}
	return true
}

// unpackRows fills as many rows of a strip as a panel has columns, from row i on, from blocks, if a kernel knows them.
func (b *Matrix) unpackRows(s source, t strip, i int) bool {
	if i+b.width > t.height {
		return false
	}
	q, blocks, rowBytes := s.blocks(t.row+i, b.width)
	if q == nil {
		return false
	}
	w := workspaces.Get().(*workspace)
	defer workspaces.Put(w)
	first := t.from * b.width / q.elements
	count := (t.from*b.width+b.between(t.from, t.to)+q.elements-1)/q.elements - first
	w.block = grown(w.block, count*q.elements*b.width)
	q.unpack(&blocks[first*q.bytes], rowBytes, count, &w.block[0], &w.scratch()[0])
	for p := t.from; p < t.to; p++ {
		from := w.block[(p*b.width-first*q.elements)*b.width:]
		transpose(b.panel(t.row, t.height, p)[i*b.width:], b.width, from, b.width, b.columns(p), b.width)
	}
	return true
}

// blockSlots is how many values of each row the kernels of blocks keep at most: those of Q5_K 16 scales and minima, and 32 words of bits.
const blockSlots = 48

// scratch is where the kernels of blocks keep scales, minima and bits of each row.
func (w *workspace) scratch() []float32 {
	w.scales = grown(w.scales, blockSlots*maxWidth)
	return w.scales
}
