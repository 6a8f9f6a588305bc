package simd

import (
	"fmt"
	"sync"
	"unsafe"
)

const (
	leftStride = blockHeight + 16 // of a copied left-hand side; a cache line more, so that rows do not share cache sets
	blockRows  = 14 * 24          // rows of the left-hand side that are multiplied at once: they stay in the L2 cache
	// worth is how many products are worth a goroutine: about 20 µs.
	worth = 1 << 21
	// fewRows: below it the columns of a product are divided, not its rows.
	fewRows = 256
	// readingRows is how many rows are multiplied with a value of the right-hand side in the time that it takes to come from memory: with
	// fewer a product takes as long.
	readingRows = 32
	// rowGrain is the least number of rows of a range, where there are some hundreds: each range reads all of the right-hand side.
	rowGrain = 112
	// setStride: rows that begin multiples of it apart share a set of the L1 cache, which has fewer places than a kernel has rows.
	setStride = 1024
)

// Mul sets c [m, N] to a [m, K] times the matrix, plus bias [N], which may be nil, in
// every row; with accumulate it adds the product to c, and bias must be nil. The rows
// of c and a begin every ldc and lda values. Work is divided over goroutines.
func (b *Matrix) Mul(c []float32, ldc int, a []float32, lda, m int, bias []float32, accumulate bool) {
	checkMatrix("Mul", "c", len(c), ldc, m, b.n)
	checkMatrix("Mul", "a", len(a), lda, m, b.k)
	b.divide(product{c: c, cStride: ldc, a: a, aStride: lda, rows: m, bias: bias, accumulate: accumulate})
}

// MulRounded is Mul with a rounded to bfloat16, for a matrix of [BFloat16]: products of
// bfloat16 are exact in float32, and so are summed.
func (b *Matrix) MulRounded(c []float32, ldc int, a []float32, lda, m int, bias []float32, accumulate bool) {
	checkMatrix("MulRounded", "c", len(c), ldc, m, b.n)
	checkMatrix("MulRounded", "a", len(a), lda, m, b.k)
	if b.format != BFloat16 {
		panic("simd: MulRounded: the matrix is not of bfloat16")
	}
	b.divide(product{c: c, cStride: ldc, a: a, aStride: lda, rows: m, bias: bias, accumulate: accumulate, rounded: true})
}

// GemmTN sets c [m, n] to the transpose of a [k, m] times b [k, n], or adds that to c
// with accumulate. The rows begin every ldc, lda and ldb values. Work is divided over
// goroutines.
func GemmTN(c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, accumulate bool) {
	if !multiplies("GemmTN", c, ldc, a, lda, true, b, ldb, m, n, k, accumulate) {
		return
	}
	right := matrices.Get().(*Matrix)
	defer matrices.Put(right)
	right.Pack(b, ldb, k, n)
	right.divide(product{c: c, cStride: ldc, a: a, aStride: lda, transposed: true, rows: m, accumulate: accumulate})
}

var matrices = sync.Pool{New: func() any { return new(Matrix) }}

// product is what a matrix is multiplied with, and where the result goes.
type product struct {
	c          []float32
	cStride    int
	a          []float32
	aStride    int
	transposed bool // a is [K, rows], not [rows, K]
	rounded    bool // a is rounded to bfloat16
	planes     bool // see splitter
	rows       int
	bias       []float32
	accumulate bool
}

// part is the product of the rows [from, to).
func (p product) part(from, to int) product {
	p.rows = to - from
	p.c = p.c[from*p.cStride:]
	if p.transposed {
		p.a = p.a[from:]
	} else {
		p.a = p.a[from*p.aStride:]
	}
	return p
}

// divide divides a product over goroutines, by rows or, if they are few, by panels.
func (b *Matrix) divide(p product) {
	if p.rows == 0 {
		return
	}
	p.planes = b.inPlanes(p)
	if p.rows < fewRows {
		perPanel := max(p.rows, readingRows) * b.k * b.width
		Parallel(b.Panels(), worth/perPanel+1, func(from, to int) { b.multiply(p, from, to) })
		return
	}
	perRow := b.k * b.n
	grain := max(28, min(worth/perRow+1, p.rows), min(rowGrain, p.rows/4))
	Parallel(p.rows, grain, func(from, to int) { b.multiply(p.part(from, to), 0, b.Panels()) })
}

// multiply computes the columns of the panels [from, to).
func (b *Matrix) multiply(p product, from, to int) {
	if b.width != active.width {
		panic("simd: the matrix was packed for another level")
	}
	if p.bias != nil && (p.accumulate || len(p.bias) != b.n) {
		panic(fmt.Sprintf("simd: a bias of %d values for %d columns, accumulate %v", len(p.bias), b.n, p.accumulate))
	}
	w := workspaces.Get().(*workspace)
	defer workspaces.Put(w)
	most := blockRows
	if p.planes {
		most = splitRows
	}
	for row := 0; row < b.k; row += blockHeight {
		height := min(blockHeight, b.k-row)
		for first := 0; first < p.rows; first += most {
			rows := min(most, p.rows-first)
			block := block{product: p, row: row, height: height, first: first, rows: rows}
			b.leftHand(&block, w)
			for panel := from; panel < to; {
				panel += b.multiplyPanels(w, &block, panel, to)
			}
		}
	}
}

// block is the part of a product that multiplies rows [first, first+rows) of the
// left-hand side with rows [row, row+height) of the matrix.
type block struct {
	product
	row, height int
	first, rows int
	op          operation
	left        []float32
	leftStride  int
}

// operation says what a kernel multiplies.
type operation int

const (
	multiplyFloat32    operation = iota // float32 with float32
	multiplyTransposed                  // the same, a being [n, rows]
	multiplyBFloat16                    // float32 with pairs of bfloat16, which are widened
	multiplyFloat16                     // float32 with float16, which is widened
	dotBFloat16                         // pairs of bfloat16 with pairs of bfloat16
	operations
)

// tile is what a kernel computes: c [groups·rows, panels·width] from a [groups·rows, n]
// and b, panels of n rows each. A value of a or b holds a pair or two float16 where the
// operation says so.
type tile struct {
	op                      operation
	rows, groups, panels, n int
	a                       []float32
	aStride                 int
	b                       []float32
	bStride, bNext          int
	c                       []float32
	cStride, columns        int       // columns of c, if not all of a single panel
	start                   []float32 // what sums begin with, nil for c
}

// multiplyPanels multiplies a block with the panel numbered panel, or with some that
// begin there, and returns how many.
func (b *Matrix) multiplyPanels(w *workspace, k *block, panel, last int) int {
	if k.planes {
		b.multiplySplit(w, k, panel)
		return 1
	}
	column := panel * b.width
	count := together(k.op, k.rows)
	if panel+count > last || column+count*b.width > b.n {
		count = 1
	}
	width := min(count*b.width, b.n-column)
	t := tile{
		op: k.op, panels: count, n: b.steps(k.height), aStride: k.leftStride, cStride: k.cStride, columns: width,
		b: b.values[b.at(k.row, k.height, panel):], bStride: b.lanes(), bNext: b.steps(k.height) * b.lanes(),
	}
	if k.row == 0 && !k.accumulate {
		t.start = w.starts(k.bias, column, width, count*b.width)
	}
	w.groups(t, k.rows, k.left, k.c[k.first*k.cStride+column:])
	return count
}

// together is how many panels are multiplied at once, where a few rows alone would leave multipliers idle.
func together(op operation, rows int) int {
	if active.level == Generic || op == multiplyTransposed || active.inTiles(op) || rows > 2 {
		return 1
	}
	return 4 / rows
}

// groups computes rows rows of a tile, in groups of nearly equal size: a group of one row
// would waste the kernel.
func (w *workspace) groups(t tile, rows int, a, c []float32) {
	most, masked := active.rows, active.masked
	if active.inTiles(t.op) {
		most, masked = rows, false
	}
	groups := (rows + most - 1) / most
	large := rows % groups // groups that have a row more
	if large == 0 {
		large = groups
	}
	w.current = t
	for at, size := 0, (rows+groups-1)/groups; at < rows; size-- {
		t := &w.current
		t.rows, t.groups = size, large
		t.c = c[at*t.cStride:]
		if t.op == multiplyTransposed {
			t.a = a[at:]
		} else {
			t.a = a[at*t.aStride:]
		}
		if t.columns == t.panels*active.width || masked {
			active.multiply(t)
		} else {
			w.multiplyNarrow(t)
		}
		at += large * size
		large = groups - large
	}
	w.current = tile{} // a pooled workspace keeps nobody's memory
}

// multiplyNarrow computes a tile that is narrower than the panel.
func (w *workspace) multiplyNarrow(t *tile) {
	c, stride, width, rows := t.c, t.cStride, active.width, t.rows*t.groups
	if len(w.tile) < rows*width {
		w.tile = make([]float32, rows*width)
	}
	t.c, t.cStride = w.tile[:rows*width], width
	if t.start == nil {
		for i := range rows {
			copy(t.c[i*width:][:t.columns], c[i*stride:])
		}
	}
	active.multiply(t)
	for i := range rows {
		copy(c[i*stride:][:t.columns], t.c[i*width:])
	}
	t.c, t.cStride = c, stride
}

// workspace is what one call of multiply needs.
type workspace struct {
	current tile      // here and not on the stack, because kernels are called through a variable
	left    []float32 // a copied or converted left-hand side
	right   []float32 // columns of a right-hand side that is not packed
	tile    []float32 // results of a panel that is wider than what is left of c
	// rounded is a row of a left-hand side, where there is no dotBFloat16 that would read it so.
	rounded [blockHeight]uint16
	start   [maxStart]float32 // what the sums of a panel begin with
	split   splitSpace
	scales  []float32 // of blocks
	block   []float32 // unpacked blocks
}

// maxStart is the length of the largest start of any level.
const maxStart = 4 * 32

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

var zeros [maxStart]float32

// starts returns what the sums of width columns begin with, padded to full values.
func (w *workspace) starts(bias []float32, column, width, full int) []float32 {
	if bias == nil {
		return zeros[:full]
	}
	if width == full {
		return bias[column:][:full]
	}
	copy(w.start[:], bias[column:][:width])
	return w.start[:full]
}

// leftHand chooses the operation of a block and its left-hand side: in place, or a copy
// if that is to be rounded, if it must be filled up to a pair, or if many of its rows
// would share the sets of a cache. A transposed one is multiplied with float32 only, in place.
func (b *Matrix) leftHand(k *block, w *workspace) {
	if k.transposed {
		k.left, k.leftStride = k.a[k.row*k.aStride+k.first:], k.aStride
		k.op = multiplyTransposed
		return
	}
	if k.planes {
		w.split.splitLeft(k)
		return
	}
	k.op = b.format.operation()
	inPlace := !k.rounded && (b.format != BFloat16 || k.height%2 == 0)
	if inPlace && (k.aStride%setStride != 0 || k.rows <= 4) {
		k.left, k.leftStride = k.a[k.first*k.aStride+k.row:], k.aStride
		return
	}
	if w.left == nil {
		w.left = aligned(blockRows * leftStride)
	}
	k.left, k.leftStride = w.left, leftStride
	if k.rounded && active.dots {
		k.op = dotBFloat16
	}
	for i := range k.rows {
		row, source := w.left[i*leftStride:][:leftStride], k.a[(k.first+i)*k.aStride+k.row:][:k.height]
		if k.op == dotBFloat16 {
			RoundBFloat16(words(row)[:k.height], source)
			words(row)[k.height] = 0
			continue
		}
		if k.rounded {
			RoundBFloat16(w.rounded[:k.height], source)
			WidenBFloat16(row[:k.height], w.rounded[:k.height])
		} else {
			copy(row, source)
		}
		row[k.height] = 0
	}
}

// aligned returns n values that begin at a cache line.
func aligned(n int) []float32 {
	const line = 16
	x := make([]float32, n+line-1)
	skip := (-int(uintptr(unsafe.Pointer(unsafe.SliceData(x))) / 4)) & (line - 1)
	return x[skip:][:n]
}

// grown returns n values that begin at a cache line: those of x if it has as many.
func grown(x []float32, n int) []float32 {
	if cap(x) < n {
		return aligned(n)
	}
	return x[:n]
}
