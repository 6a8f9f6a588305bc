package simd

import (
	"fmt"
	"sync"
	"unsafe"
)

const (
	leftStride = blockHeight + 16 // of a copied left-hand side; a cache line more, so that rows do not share cache sets
	blockRows  = 14 * 16          // rows of the left-hand side that are multiplied at once: they stay in the L2 cache
	// worth is how many products are worth a goroutine: about 20 µs.
	worth = 1 << 21
	// fewRows: below it the columns of a product are divided, not its rows.
	fewRows = 28
	// rowGrain is the least number of rows of a range, where there are many: each range reads all of the right-hand side.
	rowGrain = 112
)

// Mul sets c [m, N] to a [m, K] times the matrix, plus bias [N], which may be nil, in
// every row; with accumulate it adds the product to c, and bias must be nil. The rows
// of c and a begin every ldc and lda values. Work is divided over goroutines.
func (b *Matrix) Mul(c []float32, ldc int, a []float32, lda, m int, bias []float32, accumulate bool) {
	checkMatrix("Mul", "c", len(c), ldc, m, b.n)
	checkMatrix("Mul", "a", len(a), lda, m, b.k)
	b.divide(product{c: c, cStride: ldc, a: a, aStride: lda, rows: m, bias: bias, accumulate: accumulate})
}

// GemmTN sets c [m, n] to the transpose of a [k, m] times b [k, n], or adds that to c
// with accumulate. The rows begin every ldc, lda and ldb values. Work is divided over
// goroutines.
func GemmTN(c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, accumulate bool) {
	checkMatrix("GemmTN", "c", len(c), ldc, m, n)
	checkMatrix("GemmTN", "a", len(a), lda, k, m)
	checkMatrix("GemmTN", "b", len(b), ldb, k, n)
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		for r := 0; r < m && !accumulate; r++ {
			clear(c[r*ldc:][:n])
		}
		return
	}
	right := matrices.Get().(*Matrix)
	defer matrices.Put(right)
	right.Pack(b, ldb, k, n)
	right.divide(product{c: c, cStride: ldc, a: a, aStride: lda, transposed: true, rows: m, accumulate: accumulate})
}

var matrices = sync.Pool{New: func() any { return new(Matrix) }}

// Multiply does the part of Mul that sets the columns of the panels [from, to), on
// the goroutine that calls it; other columns stay as they are.
func (b *Matrix) Multiply(c []float32, cStride int, a []float32, aStride, rows int, bias []float32, from, to int) {
	b.multiply(product{c: c, cStride: cStride, a: a, aStride: aStride, rows: rows, bias: bias}, from, to)
}

// product is what a matrix is multiplied with, and where the result goes.
type product struct {
	c          []float32
	cStride    int
	a          []float32
	aStride    int
	transposed bool // a is [K, rows], not [rows, K]
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
	if p.rows < 2*fewRows {
		perPanel := p.rows * b.k * b.width
		Parallel(b.Panels(), worth/perPanel+1, func(from, to int) { b.multiply(p, from, to) })
		return
	}
	perRow := b.k * b.n
	grain := max(fewRows, min(worth/perRow+1, p.rows), min(rowGrain, p.rows/2))
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
	if p.rows == 0 || from >= to {
		return
	}
	w := workspaces.Get().(*workspace)
	defer workspaces.Put(w)
	for row := 0; row < b.k; row += blockHeight {
		height := min(blockHeight, b.k-row)
		for first := 0; first < p.rows; first += blockRows {
			rows := min(blockRows, p.rows-first)
			block := block{product: p, row: row, height: height, first: first, rows: rows}
			block.left, block.leftStride = w.block(p, row, height, first, rows)
			for panel := from; panel < to; {
				panel += b.multiplyPanels(w, block, panel, to)
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
	left        []float32
	leftStride  int
}

// tile is what a kernel computes: c [rows, panels·width] from a [rows, n] and
// neighbouring panels of n rows.
type tile struct {
	rows, panels, n  int
	a                []float32
	aStride          int
	panel            []float32
	c                []float32
	cStride, columns int       // columns of c, if not all of a single panel
	start            []float32 // what sums begin with, nil for c
}

// multiplyPanels multiplies a block with the panel numbered panel, or with some that
// begin there, and returns how many.
func (b *Matrix) multiplyPanels(w *workspace, k block, panel, last int) int {
	column := panel * b.width
	count := max(1, active.together[k.rows])
	if panel+count > last || column+count*b.width > b.n {
		count = 1
	}
	width := min(count*b.width, b.n-column)
	t := tile{
		panels: count, n: k.height, aStride: k.leftStride, cStride: k.cStride, columns: width,
		panel: b.values[k.row*b.Panels()*b.width+panel*k.height*b.width:][:count*k.height*b.width],
	}
	if k.row == 0 && !k.accumulate {
		t.start = w.starts(k.bias, column, width, count*b.width)
	}
	out := k.c[k.first*k.cStride+column:]
	groups := (k.rows + active.rows - 1) / active.rows
	for g := range groups {
		// Groups of nearly equal size: a group of one row would waste the kernel.
		from, to := g*k.rows/groups, (g+1)*k.rows/groups
		t.rows, t.a, t.c = to-from, k.left[from*k.leftStride:], out[from*k.cStride:]
		if width == count*b.width || active.masked {
			active.multiply(t)
			continue
		}
		w.multiplyNarrow(t, b.width)
	}
	return count
}

// multiplyNarrow computes a tile that is narrower than the panel.
func (w *workspace) multiplyNarrow(t tile, width int) {
	c, stride := t.c, t.cStride
	t.c, t.cStride = w.tile[:t.rows*width], width
	if t.start == nil {
		for i := range t.rows {
			copy(t.c[i*width:][:t.columns], c[i*stride:])
		}
	}
	active.multiply(t)
	for i := range t.rows {
		copy(c[i*stride:][:t.columns], t.c[i*width:])
	}
}

// workspace is what one call of multiply needs.
type workspace struct {
	left  []float32 // a copied left-hand side
	tile  []float32 // results of a panel that is wider than what is left of c
	start []float32 // what the sums of a panel begin with
}

// The largest tile and the largest start of any level.
const (
	maxTile  = 14 * 32
	maxStart = 4 * 32
)

var workspaces = sync.Pool{New: func() any {
	return &workspace{tile: make([]float32, maxTile), start: make([]float32, maxStart)}
}}

var zeros [maxStart]float32

// starts returns what the sums of width columns begin with, padded to full values.
func (w *workspace) starts(bias []float32, column, width, full int) []float32 {
	if bias == nil {
		return zeros[:full]
	}
	if width == full {
		return bias[column:][:full]
	}
	copy(w.start, bias[column:][:width])
	return w.start[:full]
}

// block returns a block of the left-hand side and its stride: in place, or a copy if
// it is transposed, or if many of its rows would share the sets of a cache.
func (w *workspace) block(p product, row, height, first, rows int) ([]float32, int) {
	if !p.transposed && (p.aStride%blockHeight != 0 || rows <= 4) {
		return p.a[first*p.aStride+row:], p.aStride
	}
	if w.left == nil {
		w.left = aligned(blockRows * leftStride)
	}
	if p.transposed {
		transpose(w.left, leftStride, p.a[row*p.aStride+first:], p.aStride, height, rows)
		return w.left, leftStride
	}
	for i := range rows {
		copy(w.left[i*leftStride:][:height], p.a[(first+i)*p.aStride+row:])
	}
	return w.left, leftStride
}

// aligned returns n values that begin at a cache line.
func aligned(n int) []float32 {
	const line = 16
	x := make([]float32, n+line-1)
	skip := (-int(uintptr(unsafe.Pointer(unsafe.SliceData(x))) / 4)) & (line - 1)
	return x[skip:][:n]
}
