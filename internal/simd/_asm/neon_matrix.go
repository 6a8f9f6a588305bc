package main

import "fmt"

// neonProduct is a kind of matrix kernel, as product is.
type neonProduct struct {
	name, doc  string
	steps      int  // elements of a row of a that are multiplied at once
	transposed bool // a is read down its columns
	dense      bool // there are kernels for several panels, too
	load       func(a *neon, right string, step int)
	widen      func(a *neon, step, element int) (low, high int)
}

// A matrix kernel keeps 8 rows × 8 columns of sums in registers 0 to 15, so that no multiplier waits for a sum (4
// multipliers with a latency of 4), four elements of each row of a in 16 to 23, and rows of b in 24 to 30.
const (
	neonRows   = 8
	neonWidth  = 8
	neonLeft   = 16
	neonRight  = 24
	neonHalves = 28 // of pairs and float16
)

var neonProducts = []neonProduct{
	{
		name: "multiply", doc: "multiplies float32 with float32",
		steps: 1, dense: true, load: (*neon).loadRow, widen: rowHalves,
	},
	{
		name: "multiplyTransposed", doc: "multiplies float32 with float32, a being transposed (a row of it for each row of b)",
		steps: 1, transposed: true, load: (*neon).loadRow, widen: rowHalves,
	},
	{
		name: "multiplyBFloat16", doc: "multiplies float32 with pairs of bfloat16, which it widens",
		steps: 2, dense: true, load: (*neon).loadRow,
		widen: func(a *neon, step, element int) (low, high int) {
			pairs, _ := rowHalves(a, step, element)
			for half := range 2 {
				if element == 0 {
					a.shift("shl", neonHalves+half, pairs+half, 16)
				} else {
					a.b16("and", neonHalves+half, pairs+half, mask)
				}
			}
			return neonHalves, neonHalves + 1
		},
	},
	{
		name: "multiplyFloat16", doc: "multiplies float32 with float16, which it widens",
		steps: 1, dense: true,
		load: func(a *neon, right string, step int) {
			a.emit("VLD1.P", fmt.Sprintf("(%s)(%s)", right, neonMatrix.bStride), list("H8", neonHalves+step%2))
		},
		widen: func(a *neon, step, _ int) (low, high int) {
			low, high = rowHalves(a, step, 0)
			a.vector("fcvtl %.4s, %.4h", low, neonHalves+step%2)
			a.vector("fcvtl2 %.4s, %.8h", high, neonHalves+step%2)
			return low, high
		},
	},
}

// loadRow loads a row of a panel and moves on to the next.
func (a *neon) loadRow(right string, step int) {
	low, high := rowHalves(a, step, 0)
	a.emit("VLD1.P", fmt.Sprintf("(%s)(%s)", right, neonMatrix.bStride), list("S4", low, high))
}

// rowHalves are the registers of a row; neighbouring steps have others, so that a processor that goes in order need not wait.
func rowHalves(_ *neon, step, _ int) (low, high int) {
	return neonRight + 2*(step%2), neonRight + 2*(step%2) + 1
}

// neonMatrix names the general registers of a matrix kernel; left and right are of rows of a and of panels.
var neonMatrix = struct {
	n, a, aStride, b, bStride, bNext, c, cStride, start, groups, count, spare string
	left, right                                                               []string
}{
	"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11",
	[]string{"R12", "R13", "R14", "R15", "R19", "R20", "R21", "R22"},
	[]string{"R23", "R24", "R25", "R26"},
}

// matrixKernels makes the same kernels as those of amd64.
func (a *neon) matrixKernels() {
	for _, p := range neonProducts {
		for rows := 1; rows <= neonRows; rows++ {
			a.matrixKernel(p, rows, 1)
		}
		if !p.dense {
			continue
		}
		for _, shape := range [][2]int{{1, 4}, {2, 2}} {
			a.matrixKernel(p, shape[0], shape[1])
		}
	}
}

// matrixKernel makes a function as the one of amd64 does: the sum of an element is always taken in the order of the steps,
// one fused step at a time.
func (a *neon) matrixKernel(p neonProduct, rows, panels int) {
	a.begin(fmt.Sprintf("%s%dx%d", p.name, rows, panels),
		"(n int, a *float32, aStride int, b *float32, bStride, bNext int, c *float32, cStride int, start *float32, groups int, columns uint32)",
		fmt.Sprintf("%s: groups times %d rows a, n steps, with %d panels of %d columns, bNext apart. Strides are in bytes. Sums begin at start, or at c where that is nil.",
			p.doc, rows, panels, neonWidth))
	r := neonMatrix
	for i, name := range []string{"n", "a", "aStride", "b", "bStride", "bNext", "c", "cStride", "start", "groups"} {
		a.parameter(name, fmt.Sprintf("R%d", i))
	}
	if p.steps == 2 {
		a.emit("MOVD", "$0xffff0000", r.spare)
		a.emit("VDUP", r.spare, fmt.Sprintf("V%d.S4", mask))
	}
	group := a.label("group")
	a.Label(group)
	a.loadSums(rows, panels)
	a.pointers(p, rows, panels)
	a.multiplyLoop(p, rows, panels)
	for i := range rows {
		for q := range panels {
			sum := neonSum(panels, i, q)
			a.emit("FSTPQ", pair(sum, sum+1), memory(32*q, r.c))
		}
		a.emit("ADD", r.cStride, r.c)
	}
	a.emit("SUBS", "$1", r.groups)
	a.emit("BNE", group)
	a.end()
}

// neonSum is the first of the two registers of the sums of row i in panel q.
func neonSum(panels, i, q int) int { return 2 * (i*panels + q) }

func (a *neon) loadSums(rows, panels int) {
	r := neonMatrix
	fromC, ready := a.label("fromC"), a.label("ready")
	a.emit("CBZ", r.start, fromC)
	for q := range panels {
		first := neonSum(panels, 0, q)
		a.emit("FLDPQ", memory(32*q, r.start), pair(first, first+1))
		for i := 1; i < rows; i++ {
			a.move(first, neonSum(panels, i, q))
			a.move(first+1, neonSum(panels, i, q)+1)
		}
	}
	a.emit("JMP", ready)
	a.Label(fromC)
	a.emit("MOVD", r.c, r.spare)
	for i := range rows {
		for q := range panels {
			sum := neonSum(panels, i, q)
			a.emit("FLDPQ", memory(32*q, r.spare), pair(sum, sum+1))
		}
		a.emit("ADD", r.cStride, r.spare)
	}
	a.Label(ready)
}

// pointers sets the registers of rows of a and of panels to where the steps of a group begin, and a to the next group.
func (a *neon) pointers(p neonProduct, rows, panels int) {
	r := neonMatrix
	a.emit("MOVD", r.b, r.right[0])
	for q := 1; q < panels; q++ {
		a.emit("ADD", r.bNext, r.right[q-1], r.right[q])
	}
	a.emit("MOVD", r.a, r.left[0])
	if p.transposed {
		a.emit("ADD", fmt.Sprintf("$%d", 4*rows), r.a)
		return
	}
	for i := 1; i < rows; i++ {
		a.emit("ADD", r.aStride, r.left[i-1], r.left[i])
	}
	a.emit("ADD", r.aStride, r.left[rows-1], r.a)
}

// multiplyLoop does as many steps at a time as four elements of a row of a have, then single ones.
func (a *neon) multiplyLoop(p neonProduct, rows, panels int) {
	r := neonMatrix
	turn := 4 / p.steps
	loop, rest, one, done := a.label("loop"), a.label("rest"), a.label("one"), a.label("done")
	a.emit("SUBS", fmt.Sprintf("$%d", turn), r.n, r.count)
	a.emit("BLT", rest)
	a.Label(loop)
	if !p.transposed {
		a.loadLeft(rows, 4)
	}
	for step := range turn {
		a.multiplyStep(p, rows, panels, step)
	}
	a.emit("SUBS", fmt.Sprintf("$%d", turn), r.count)
	a.emit("BGE", loop)
	a.Label(rest)
	a.emit("ADDS", fmt.Sprintf("$%d", turn), r.count)
	a.emit("BEQ", done)
	a.Label(one)
	if !p.transposed {
		a.loadLeft(rows, p.steps)
	}
	a.multiplyStep(p, rows, panels, 0)
	a.emit("SUBS", "$1", r.count)
	a.emit("BNE", one)
	a.Label(done)
}

// moves are the instructions that move some float32.
var moves = map[int]string{1: "FMOVS", 2: "FMOVD", 4: "FMOVQ"}

// loadLeft loads elements of every row of a, and moves on.
func (a *neon) loadLeft(rows, elements int) {
	for i := range rows {
		a.emit(moves[elements]+".P", memory(4*elements, neonMatrix.left[i]), f(neonLeft+i))
	}
}

// loadColumn loads a row of a transposed a, no more than the rows that are asked for, and moves on. It returns where the element
// of each row is.
func (a *neon) loadColumn(rows int) (registers, lanes [neonRows]int) {
	left := neonMatrix.left[0]
	v := neonLeft
	for at := 0; at < rows; v++ {
		size := 4
		for size > rows-at {
			size /= 2
		}
		a.emit(moves[size], memory(4*at, left), f(v))
		for lane := range size {
			registers[at+lane], lanes[at+lane] = v, lane
		}
		at += size
	}
	a.emit("ADD", neonMatrix.aStride, left)
	return registers, lanes
}

// multiplyStep multiplies the next row of b with the elements of a that are step steps into what loadLeft loaded.
func (a *neon) multiplyStep(p neonProduct, rows, panels, step int) {
	var registers, lanes [neonRows]int
	if p.transposed {
		registers, lanes = a.loadColumn(rows)
	}
	for q := range panels {
		p.load(a, neonMatrix.right[q], step+q)
		for element := range p.steps {
			low, high := p.widen(a, step+q, element)
			for i := range rows {
				x, lane := neonLeft+i, step*p.steps+element
				if p.transposed {
					x, lane = registers[i], lanes[i]
				}
				sum := neonSum(panels, i, q)
				a.multiplyElement(sum, low, x, lane)
				a.multiplyElement(sum+1, high, x, lane)
			}
		}
	}
}
