package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// matrixKernels makes the kernels for every number of rows, and for few rows, where a panel has too
// few independent sums to keep the multipliers busy, those that take neighbouring panels at once.
func (a *assembler) matrixKernels() {
	for rows := 1; rows <= a.rows; rows++ {
		a.matrixKernel(rows, 1)
	}
	for _, shape := range [][2]int{{1, 4}, {2, 2}} {
		a.matrixKernel(shape[0], shape[1])
	}
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

// matrixKernel makes a function that multiplies rows rows of a left-hand side with neighbouring panels of
// 2·width columns each: c[r][j] = start[j] or c[r][j] + Σ a[r][i]·panel[i][j]. The sum of an element is always
// taken in the order of i, one fused step at a time, whatever the number of rows and panels.
func (a *assembler) matrixKernel(rows, panels int) {
	a.begin(fmt.Sprintf("multiply%dx%d", rows, panels),
		"(n int, a *float32, aStride int, panel, c *float32, cStride int, start *float32, columns uint32)",
		fmt.Sprintf("multiplies %d rows a of n values with %d panels of %d columns. Strides are in bytes. Sums begin at start, or at c where that is nil.%s",
			rows, panels, 2*a.width, map[bool]string{true: " Of c only the columns are touched that have a bit in columns."}[a.wide()]))
	n, left, stride := reg.RCX, reg.RSI, reg.R8
	c, start := reg.RDX, reg.R9
	a.Load(a.Param("n"), n)
	a.Load(a.Param("a"), left)
	a.Load(a.Param("c"), c)
	a.Load(a.Param("cStride"), stride)
	a.Load(a.Param("start"), start)
	if a.wide() {
		a.Load(a.Param("columns"), reg.R10)
		a.KMOVW(reg.R10L, reg.K1)
		a.SHRL(operand.Imm(16), reg.R10L)
		a.KMOVW(reg.R10L, reg.K2)
	}
	a.loadSums(rows, panels, c, stride, start)

	right := []reg.GPPhysical{reg.RDI, reg.R10, reg.R12, reg.R13}[:panels] // R10 and on only where rows need no multiple there
	a.Load(a.Param("panel"), right[0])
	for p := 1; p < panels; p++ {
		if p == 1 {
			a.MOVQ(n, reg.R11) // bytes of a panel
			a.IMUL3Q(operand.U32(uint32(2*a.bytes())), reg.R11, reg.R11)
		}
		a.MOVQ(right[p-1], right[p])
		a.ADDQ(reg.R11, right[p])
	}
	a.loadMultiples(rows)
	a.multiplyLoop(rows, panels, n, left, right)
	a.storeSums(rows, panels, c, stride)
	a.end()
}

// sum is the register of the sums of row r in half of panel p.
func (a *assembler) sum(panels, r, p, half int) reg.VecPhysical { return a.regs[2*(r*panels+p)+half] }

func (a *assembler) columnMask(half int) reg.OpmaskPhysical {
	return []reg.OpmaskPhysical{reg.K1, reg.K2}[half]
}

func (a *assembler) loadSums(rows, panels int, c, stride, start reg.GPPhysical) {
	fromC, ready := a.label("fromC"), a.label("ready")
	a.TESTQ(start, start)
	a.JZ(operand.LabelRef(fromC))
	for i := range 2 * panels {
		a.VMOVUPS(operand.Mem{Base: start, Disp: i * a.bytes()}, a.sum(panels, 0, i/2, i%2))
		for r := 1; r < rows; r++ {
			a.VMOVAPS(a.sum(panels, 0, i/2, i%2), a.sum(panels, r, i/2, i%2))
		}
	}
	a.JMP(operand.LabelRef(ready))
	a.Label(fromC)
	a.MOVQ(c, reg.R11)
	for r := range rows {
		for i := range 2 * panels {
			m, sum := operand.Mem{Base: reg.R11, Disp: i * a.bytes()}, a.sum(panels, r, i/2, i%2)
			if a.wide() && panels == 1 {
				a.VMOVUPS_Z(m, a.columnMask(i%2), sum)
			} else {
				a.VMOVUPS(m, sum)
			}
		}
		if r < rows-1 {
			a.ADDQ(stride, reg.R11)
		}
	}
	a.Label(ready)
}

func (a *assembler) storeSums(rows, panels int, c, stride reg.GPPhysical) {
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

func (a *assembler) multiplyLoop(rows, panels int, n, left reg.GPPhysical, right []reg.GPPhysical) {
	sums := 2 * rows * panels
	values := a.regs[sums : sums+2]
	broadcast := a.regs[sums+2 : sums+4]
	step := func(at int) {
		for p := range panels {
			for half := range 2 {
				if rows > 1 {
					a.VMOVUPS(operand.Mem{Base: right[p], Disp: (2*at + half) * a.bytes()}, values[half])
				}
			}
			for r := range rows {
				x := broadcast[r%2]
				if panels == 1 || p == 0 {
					a.VBROADCASTSS(leftRow(left, r, at), x)
				}
				for half := range 2 {
					if rows > 1 {
						a.VFMADD231PS(values[half], x, a.sum(panels, r, p, half))
						continue
					}
					a.VFMADD231PS(operand.Mem{Base: right[p], Disp: (2*at + half) * a.bytes()}, x, a.sum(panels, r, p, half))
				}
			}
		}
	}
	advance := func(steps int) {
		a.ADDQ(operand.U32(uint32(4*steps)), left)
		for _, p := range right {
			a.ADDQ(operand.U32(uint32(2*steps*a.bytes())), p)
		}
	}
	const unroll = 4
	loop, rest, one, done := a.label("loop"), a.label("rest"), a.label("one"), a.label("done")
	a.MOVQ(n, reg.R11)
	a.SHRQ(operand.Imm(2), reg.R11)
	a.JZ(operand.LabelRef(rest))
	a.Label(loop)
	for at := range unroll {
		step(at)
	}
	advance(unroll)
	a.DECQ(reg.R11)
	a.JNZ(operand.LabelRef(loop))
	a.Label(rest)
	a.ANDQ(operand.Imm(unroll-1), n)
	a.JZ(operand.LabelRef(done))
	a.Label(one)
	step(0)
	advance(1)
	a.DECQ(n)
	a.JNZ(operand.LabelRef(one))
	a.Label(done)
}

// transpose makes a function that transposes 8 rows. It needs AVX only, and serves both instruction sets.
func (a *assembler) transpose() {
	a.begin("transpose", "(n int, to *float32, toStride int, from *float32, fromStride int)",
		"writes 8 rows of n values as n rows of 8. n is a positive multiple of 8, strides are in bytes.")
	n, to, toStride, from, fromStride := reg.RCX, reg.RDI, reg.R8, reg.RSI, reg.RAX
	a.Load(a.Param("n"), n)
	a.Load(a.Param("to"), to)
	a.Load(a.Param("toStride"), toStride)
	a.Load(a.Param("from"), from)
	a.Load(a.Param("fromStride"), fromStride)
	a.LEAQ(operand.Mem{Base: reg.RAX, Index: reg.RAX, Scale: 2}, reg.RBX)
	a.LEAQ(operand.Mem{Base: reg.RAX, Index: reg.RAX, Scale: 4}, reg.R9)
	a.LEAQ(operand.Mem{Base: reg.RBX, Index: reg.RAX, Scale: 4}, reg.R10)
	r := a.regs
	loop := a.label("loop")
	a.Label(loop)
	// In each half of four columns, register i holds row i in its lower and row i+4 in its upper lane.
	for half := range 2 {
		for i := range 4 {
			x := r[4*half+i]
			a.VMOVUPS(leftRow(from, i, 4*half), x.AsX())
			a.VINSERTF128(operand.Imm(1), leftRow(from, i+4, 4*half), x, x)
		}
	}
	for half := range 2 {
		x, t := r[4*half:4*half+4], r[8+4*half:12+4*half]
		a.VUNPCKLPS(x[1], x[0], t[0])
		a.VUNPCKHPS(x[1], x[0], t[1])
		a.VUNPCKLPS(x[3], x[2], t[2])
		a.VUNPCKHPS(x[3], x[2], t[3])
		a.VUNPCKLPD(t[2], t[0], x[0])
		a.VUNPCKHPD(t[2], t[0], x[1])
		a.VUNPCKLPD(t[3], t[1], x[2])
		a.VUNPCKHPD(t[3], t[1], x[3])
	}
	for i := range 8 {
		a.VMOVUPS(r[i], operand.Mem{Base: to})
		a.ADDQ(toStride, to)
	}
	a.ADDQ(operand.Imm(32), from)
	a.SUBQ(operand.Imm(8), n)
	a.JNZ(operand.LabelRef(loop))
	a.end()
}
