package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// product is a kind of matrix kernel: what its operands hold. A step of its loop multiplies one row of
// the right-hand side, or a pair of rows where 16-bit values are held in pairs.
type product struct {
	name string // in function names
	doc  string
	// steps is how many elements of a row of a are multiplied at once.
	steps int
	// transposed: a is read down its columns.
	transposed bool
	// load loads half of a row of the right-hand side, for the element at of the step, into r.
	load func(a *assembler, m operand.Mem, at int, r reg.VecPhysical)
	// add adds x·b to sum.
	add func(a *assembler, b, x, sum reg.VecPhysical)
	// narrow: the values of b have 16 bits each, and lie side by side.
	narrow bool
	// dense: there are kernels for several panels, too.
	dense bool
}

func multiplyAdd(a *assembler, b, x, sum reg.VecPhysical) { a.VFMADD231PS(b, x, sum) }

func (a *assembler) products() []product {
	loadRow := func(a *assembler, m operand.Mem, _ int, r reg.VecPhysical) { a.VMOVUPS(m, r) }
	list := []product{
		{
			name: "multiply", doc: "multiplies float32 with float32",
			steps: 1, dense: true, add: multiplyAdd, load: loadRow,
		},
		{
			name: "multiplyTransposed", doc: "multiplies float32 with float32, a being transposed (a row of it for each row of b)",
			steps: 1, transposed: true, add: multiplyAdd, load: loadRow,
		},
		{
			name: "multiplyBFloat16", doc: "multiplies float32 with pairs of bfloat16, which it widens",
			steps: 2, dense: true, add: multiplyAdd,
			load: func(a *assembler, m operand.Mem, at int, r reg.VecPhysical) {
				if a.VMOVUPS(m, r); at == 0 {
					a.VPSLLD(operand.Imm(16), r, r)
					return
				}
				a.and(a.bits(0xffff0000), r, r)
			},
		},
		{
			name: "multiplyFloat16", doc: "multiplies float32 with float16, which it widens",
			steps: 1, dense: true, narrow: true, add: multiplyAdd,
			load: func(a *assembler, m operand.Mem, _ int, r reg.VecPhysical) { a.VCVTPH2PS(m, r) },
		},
	}
	if a.wide() {
		list = append(list, product{
			name: "dotBFloat16", doc: "multiplies pairs of bfloat16 with pairs of bfloat16, by VDPBF16PS",
			steps: 1, dense: true, add: (*assembler).dotBFloat16, load: loadRow,
		})
	}
	return list
}

// matrixKernels makes the kernels for every number of rows, and for few rows, where a panel has too
// few independent sums to keep the multipliers busy, those that take neighbouring panels at once.
func (a *assembler) matrixKernels() {
	for _, p := range a.products() {
		for rows := 1; rows <= a.rows; rows++ {
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

// dotBFloat16 is VDPBF16PS b, x, sum, which neither avo nor the assembler knows:
// EVEX.512.F3.0F38.W0 52 /r. The bits that extend register numbers are inverted.
func (a *assembler) dotBFloat16(b, x, sum reg.VecPhysical) {
	number := func(r reg.VecPhysical) uint32 { return uint32(r.PhysicalIndex()) }
	not := func(n, bit uint32) uint32 { return ^(n >> bit) & 1 }
	bn, xn, sn := number(b), number(x), number(sum)
	p0 := not(sn, 3)<<7 | not(bn, 4)<<6 | not(bn, 3)<<5 | not(sn, 4)<<4 | 0b010
	p1 := (^xn&15)<<3 | 0b1_10
	p2 := uint32(0b10)<<5 | not(xn, 4)<<3
	a.Instruction(&ir.Instruction{Opcode: "LONG", Operands: []operand.Op{operand.U32(p2<<24 | p1<<16 | p0<<8 | 0x62)}})
	a.Instruction(&ir.Instruction{Opcode: "WORD", Operands: []operand.Op{operand.U16((0b11<<6|(sn&7)<<3|bn&7)<<8 | 0x52)}})
}

// multiples says which register holds which odd multiple of the stride of the left-hand side: row r is
// addressed as odd·2^s·stride, with s in the instruction.
var multiples = []struct {
	odd      int
	register reg.GPPhysical
	base     int // odd = base + scale·1
	scale    uint8
}{
	{1, reg.RAX, 0, 0},
	{3, reg.RBX, 1, 2},
	{5, reg.R9, 1, 4},
	{7, reg.R10, 3, 4},
	{9, reg.R12, 1, 8},
	{11, reg.R13, 3, 8},
	{13, reg.R15, 5, 8},
}

func multiple(odd int) reg.GPPhysical {
	for _, m := range multiples {
		if m.odd == odd {
			return m.register
		}
	}
	panic("no register holds the multiple")
}

// leftRow addresses element at of row r of the left-hand side.
func leftRow(base reg.GPPhysical, r, at int) operand.Mem {
	m := operand.Mem{Base: base, Disp: 4 * at}
	if r == 0 {
		return m
	}
	m.Scale = 1
	for r%2 == 0 {
		r, m.Scale = r/2, 2*m.Scale
	}
	m.Index = multiple(r)
	return m
}

// The registers of a matrix kernel beside those of multiples.
const (
	left   = iota // where the step reads a
	out           // the rows of c, one after the other
	stride        // of c while that is read and written, of b in the loop
	count         // steps to go
	spare
)

var matrixRegisters = [...]reg.GPPhysical{left: reg.RSI, out: reg.RDX, stride: reg.R8, count: reg.RCX, spare: reg.R11}

// rights are the registers of the panels. All but the first only serve where rows need no multiple there.
var rights = []reg.GPPhysical{reg.RDI, reg.R10, reg.R12, reg.R13}

// matrixKernel makes a function that multiplies groups of rows of a left-hand side with neighbouring panels
// of 2·width columns each: c[r][j] = start[j] or c[r][j] + Σ a[r][i]·b[i][j]. The sum of an element is always
// taken in the order of i, one fused step at a time, whatever the number of rows, groups and panels.
func (a *assembler) matrixKernel(p product, rows, panels int) {
	doc := fmt.Sprintf("%s: groups times %d rows a, n steps, with %d panels of %d columns, bNext apart. Strides are in bytes. Sums begin at start, or at c where that is nil.",
		p.doc, rows, panels, 2*a.width)
	if a.wide() && panels == 1 {
		doc += " Only the columns of b and c are touched that have a bit in columns."
	}
	a.begin(fmt.Sprintf("%s%dx%d", p.name, rows, panels),
		"(n int, a *float32, aStride int, b *float32, bStride, bNext int, c *float32, cStride int, start *float32, groups int, columns uint32)", doc)
	r := matrixRegisters
	a.Load(a.Param("a"), r[left])
	a.Load(a.Param("c"), r[out])
	if a.wide() {
		a.Load(a.Param("columns"), r[spare])
		a.KMOVW(reg.R11L, reg.K1)
		a.SHRL(operand.Imm(16), reg.R11L)
		a.KMOVW(reg.R11L, reg.K2)
	}
	if p.transposed {
		a.Load(a.Param("aStride"), multiple(1))
	} else {
		a.loadMultiples(rows)
	}
	group := a.label("group")
	a.Label(group)
	a.loadSums(rows, panels)
	a.Load(a.Param("bStride"), r[stride])
	a.Load(a.Param("b"), rights[0])
	for q := 1; q < panels; q++ {
		a.MOVQ(rights[q-1], rights[q])
		a.ADDQ(a.address(a.Param("bNext")), rights[q])
	}
	a.multiplyLoop(p, rows, panels)
	a.storeSums(rows, panels)
	a.nextGroup(p, rows)
	a.JNZ(operand.LabelRef(group))
	a.end()
}

// nextGroup moves on to the next rows of a and c, and sets the zero flag after the last.
func (a *assembler) nextGroup(p product, rows int) {
	r := matrixRegisters
	a.ADDQ(r[stride], r[out])
	a.Load(a.Param("a"), r[left])
	if p.transposed {
		a.ADDQ(operand.Imm(uint64(4*rows)), r[left])
	} else {
		a.Load(a.Param("aStride"), r[spare])
		a.IMUL3Q(operand.Imm(uint64(rows)), r[spare], r[spare])
		a.ADDQ(r[spare], r[left])
	}
	a.MOVQ(r[left], a.address(a.Param("a")))
	a.DECQ(a.address(a.Param("groups")))
}

// sum is the register of the sums of row r in half of panel p.
func (a *assembler) sum(panels, r, p, half int) reg.VecPhysical { return a.regs[2*(r*panels+p)+half] }

func (a *assembler) columnMask(half int) reg.OpmaskPhysical {
	return []reg.OpmaskPhysical{reg.K1, reg.K2}[half]
}

func (a *assembler) loadSums(rows, panels int) {
	c, stride, at := matrixRegisters[out], matrixRegisters[stride], matrixRegisters[spare]
	fromC, ready := a.label("fromC"), a.label("ready")
	a.Load(a.Param("cStride"), stride)
	a.Load(a.Param("start"), at)
	a.TESTQ(at, at)
	a.JZ(operand.LabelRef(fromC))
	for i := range 2 * panels {
		a.VMOVUPS(operand.Mem{Base: at, Disp: i * a.bytes()}, a.sum(panels, 0, i/2, i%2))
		for r := 1; r < rows; r++ {
			a.VMOVAPS(a.sum(panels, 0, i/2, i%2), a.sum(panels, r, i/2, i%2))
		}
	}
	a.JMP(operand.LabelRef(ready))
	a.Label(fromC)
	a.MOVQ(c, at)
	for r := range rows {
		for i := range 2 * panels {
			m, sum := operand.Mem{Base: at, Disp: i * a.bytes()}, a.sum(panels, r, i/2, i%2)
			if a.wide() && panels == 1 {
				a.VMOVUPS_Z(m, a.columnMask(i%2), sum)
			} else {
				a.VMOVUPS(m, sum)
			}
		}
		if r < rows-1 {
			a.ADDQ(stride, at)
		}
	}
	a.Label(ready)
}

// storeSums leaves the register of c at the last row.
func (a *assembler) storeSums(rows, panels int) {
	c, stride := matrixRegisters[out], matrixRegisters[stride]
	a.Load(a.Param("cStride"), stride)
	for r := range rows {
		for i := range 2 * panels {
			m, sum := operand.Mem{Base: c, Disp: i * a.bytes()}, a.sum(panels, r, i/2, i%2)
			if a.wide() && panels == 1 {
				a.VMOVUPS(sum, a.columnMask(i%2), m)
			} else {
				a.VMOVUPS(sum, m)
			}
		}
		if r < rows-1 {
			a.ADDQ(stride, c)
		}
	}
}

// loadMultiples loads the multiples of the left-hand side's stride that rows rows need.
func (a *assembler) loadMultiples(rows int) {
	for _, m := range multiples {
		if m.odd >= rows {
			break
		}
		if m.odd == 1 {
			a.Load(a.Param("aStride"), m.register)
			continue
		}
		a.LEAQ(operand.Mem{Base: multiple(m.base), Index: multiple(1), Scale: m.scale}, m.register)
	}
}

// unroll is how many steps are done in a turn of the loop.
const unroll = 4

func (a *assembler) multiplyLoop(p product, rows, panels int) {
	n, turns := matrixRegisters[count], matrixRegisters[spare]
	loop, rest, one, done := a.label("loop"), a.label("rest"), a.label("one"), a.label("done")
	a.Load(a.Param("n"), n)
	a.MOVQ(n, turns)
	a.SHRQ(operand.Imm(2), turns)
	a.JZ(operand.LabelRef(rest))
	a.Label(loop)
	for at := 0; at < unroll; at += 2 {
		a.multiplyStep(p, rows, panels, at, 0)
		a.multiplyStep(p, rows, panels, at+1, 1)
		a.advance(p, panels, 2)
	}
	if !p.transposed {
		a.ADDQ(operand.Imm(uint64(4*unroll*p.steps)), matrixRegisters[left])
	}
	a.DECQ(turns)
	a.JNZ(operand.LabelRef(loop))
	a.Label(rest)
	a.ANDQ(operand.Imm(unroll-1), n)
	a.JZ(operand.LabelRef(done))
	a.Label(one)
	a.multiplyStep(p, rows, panels, 0, 0)
	a.advance(p, panels, 1)
	if !p.transposed {
		a.ADDQ(operand.Imm(uint64(4*p.steps)), matrixRegisters[left])
	}
	a.DECQ(n)
	a.JNZ(operand.LabelRef(one))
	a.Label(done)
}

// advance moves to the rows of b, and of a transposed a, that are one or two steps on.
func (a *assembler) advance(p product, panels, steps int) {
	move := func(base, stride reg.GPPhysical) {
		if steps == 1 {
			a.ADDQ(stride, base)
			return
		}
		a.LEAQ(operand.Mem{Base: base, Index: stride, Scale: 2}, base)
	}
	for _, right := range rights[:panels] {
		move(right, matrixRegisters[stride])
	}
	if p.transposed {
		move(matrixRegisters[left], multiple(1))
	}
}

// multiplyStep multiplies the row of b that is ahead (0 or 1) of the registers with the elements of a that are
// at steps ahead.
func (a *assembler) multiplyStep(p product, rows, panels, at, ahead int) {
	sums := 2 * rows * panels
	values, broadcast := a.regs[sums:sums+2], a.regs[sums+2:sums+4]
	for q := range panels {
		a.prefetch(p, rows, q, ahead)
	}
	for element := range p.steps {
		for q := range panels {
			for half := range 2 {
				m := operand.Mem{Base: rights[q], Disp: half * a.bytes()}
				if p.narrow {
					m.Disp /= 2
				}
				if ahead == 1 {
					m.Index, m.Scale = matrixRegisters[stride], 1
				}
				a.loadRight(p, m, element, half, panels, values[half])
			}
			for r := range rows {
				x := broadcast[r%2]
				if q == 0 {
					a.VBROADCASTSS(a.leftElement(p, r, at, element, ahead), x)
				}
				for half := range 2 {
					p.add(a, values[half], x, a.sum(panels, r, q, half))
				}
			}
		}
	}
}

const prefetchDistance = 8192 // bytes

// fewRows is the most rows of a kernel that mostly waits for memory: products of up to sixteen rows have no larger ones.
const fewRows = 8

// prefetch asks for the part of a packed panel that is needed some steps on: left to itself the hardware stops at the
// end of every page. Of few rows weights are mostly waited for, and are to come as far as the L2 cache, which waits for more lines at
// once than the L1 cache: those of SmolLM2 come a fifth faster for one token, a quarter for sixteen. Of more rows a panel is in
// the L2 cache from the first group on.
func (a *assembler) prefetch(p product, rows, q, ahead int) {
	for line := 0; line < 2*a.bytes(); line += 64 {
		m := operand.Mem{Base: rights[q], Disp: prefetchDistance + line}
		if ahead == 1 {
			m.Index, m.Scale = matrixRegisters[stride], 1
		}
		if rows <= fewRows {
			a.PREFETCHT1(m)
		} else {
			a.PREFETCHT0(m)
		}
		if p.narrow {
			break
		}
	}
}

// loadRight loads half of a row of a panel; of a single panel only the columns in use, because in a matrix that
// is not packed there may be nothing behind them.
func (a *assembler) loadRight(p product, m operand.Mem, element, half, panels int, r reg.VecPhysical) {
	if a.wide() && panels == 1 && !p.narrow && p.steps == 1 {
		a.VMOVUPS_Z(m, a.columnMask(half), r)
		return
	}
	p.load(a, m, element, r)
}

func (a *assembler) leftElement(p product, r, at, element, ahead int) operand.Mem {
	if !p.transposed {
		return leftRow(matrixRegisters[left], r, at*p.steps+element)
	}
	m := operand.Mem{Base: matrixRegisters[left], Disp: 4 * r}
	if ahead == 1 {
		m.Index, m.Scale = multiple(1), 1
	}
	return m
}
