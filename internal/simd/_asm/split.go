package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A float32 is the sum of three bfloat16, its planes: the nearest one, the nearest to what is left, and what is left then.
// A step is 32 rows of a right-hand side, or columns of a left-hand side. Of each step lie one after the other the planes,
// the largest first, and of each plane two tiles.
const (
	planes     = 3
	tileBytes  = 16 * 64
	planeBytes = 2 * tileBytes
	stepBytes  = planes * planeBytes
)

// splits makes the functions of products of float32 by AMX.
func (a *assembler) splits() {
	a.splitRow()
	a.splitPanel()
	for _, n := range []int{planes, 1} {
		for rows := 1; rows <= 2; rows++ {
			a.splitKernel(n, rows)
		}
	}
	a.addRows()
}

// The registers of what all splits need.
var splitHalf, splitMask, splitIndex = reg.Z31, reg.Z30, reg.Z29

func (a *assembler) beginSplit() {
	a.VMOVUPS(a.bits(0x8000), splitHalf)
	a.VMOVUPS(a.bits(0xffff0000), splitMask)
}

// split sets the planes to those of x, each in the upper halves of words. x is the last one. Halves are rounded away from zero: what is left is exact all the same.
func (a *assembler) split(x, first, second reg.VecPhysical) {
	for _, plane := range []reg.VecPhysical{first, second} {
		a.VPADDD(splitHalf, x, plane)
		a.VPANDD(splitMask, plane, plane)
		a.VSUBPS(plane, x, x)
	}
}

// splitRow splits a row of a left-hand side.
func (a *assembler) splitRow() {
	a.begin("splitRow", "(steps int, x, to *float32)", "splits a row of steps times 32 values.")
	a.Load(a.Param("steps"), reg.RCX)
	a.Load(a.Param("x"), reg.RSI)
	a.Load(a.Param("to"), reg.RDI)
	a.beginSplit()
	a.VMOVUPS(a.upperWords(), splitIndex)
	r := avx512.regs
	loop := a.label("loop")
	a.Label(loop)
	for i := range 2 {
		x := r[planes*i+2]
		a.VMOVUPS(operand.Mem{Base: reg.RSI, Disp: 64 * i}, x)
		a.split(x, r[planes*i], r[planes*i+1])
	}
	for plane := range planes {
		a.VPERMT2W(r[planes+plane], splitIndex, r[plane])
		a.VMOVUPS(r[plane], operand.Mem{Base: reg.RDI, Disp: plane * planeBytes})
	}
	a.ADDQ(operand.Imm(128), reg.RSI)
	a.ADDQ(operand.U32(stepBytes), reg.RDI)
	a.DECQ(reg.RCX)
	a.JNZ(operand.LabelRef(loop))
	a.end()
}

// upperWords are the numbers of the upper words of two vectors.
func (a *assembler) upperWords() operand.Mem {
	m := a.StaticGlobal("upperWords")
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 32 {
		a.AppendDatum(operand.U16(2*i + 1))
	}
	return m
}

// splitPanel splits rows of a panel, two of which become a row of pairs.
func (a *assembler) splitPanel() {
	a.begin("splitPanel", "(steps int, b, to *float32)", "splits steps times 32 rows of a panel of 32 columns.")
	a.Load(a.Param("steps"), reg.RCX)
	a.Load(a.Param("b"), reg.RSI)
	a.Load(a.Param("to"), reg.RDI)
	a.beginSplit()
	r := avx512.regs
	step, pair := a.label("step"), a.label("pair")
	a.Label(step)
	a.MOVQ(operand.U32(16), reg.RDX)
	a.Label(pair)
	for half := range 2 {
		for row := range 2 {
			x := r[planes*row+2]
			a.VMOVUPS(operand.Mem{Base: reg.RSI, Disp: 128*row + 64*half}, x)
			a.split(x, r[planes*row], r[planes*row+1])
		}
		for plane := range planes {
			a.VPSRLD(operand.Imm(16), r[plane], r[plane])
			a.VPORD(r[planes+plane], r[plane], r[plane])
			a.VMOVUPS(r[plane], operand.Mem{Base: reg.RDI, Disp: plane*planeBytes + tileBytes*half})
		}
	}
	a.ADDQ(operand.U32(256), reg.RSI)
	a.ADDQ(operand.Imm(64), reg.RDI)
	a.DECQ(reg.RDX)
	a.JNZ(operand.LabelRef(pair))
	a.ADDQ(operand.U32(stepBytes-tileBytes), reg.RDI)
	a.DECQ(reg.RCX)
	a.JNZ(operand.LabelRef(step))
	a.end()
}

// splitKernel makes a function that multiplies groups of one or two tiles of rows with a panel of so many planes: three of float32, or one of
// bfloat16 as it is packed. Products of planes are left out that are below the last digit of float32. Neighbours
// in the order of the others share an operand.
func (a *assembler) splitKernel(panelPlanes, rows int) {
	products := [][2]int{{2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}, {0, 0}} // planes of the left-hand side, of the panel
	panelStep, panelStride, panelHalf := stepBytes, 64, tileBytes
	if panelPlanes == 1 {
		products = [][2]int{{2, 0}, {1, 0}, {0, 0}}
		panelStep, panelStride, panelHalf = planeBytes, 128, 64
	}
	a.begin(fmt.Sprintf("splitTiles%dx%d", rows, panelPlanes),
		"(config *byte, steps int, a *float32, aNext int, b, sums *float32, more bool, groups int)",
		fmt.Sprintf("multiplies groups of %d times 16 split rows with a panel of 32 columns in %d planes. It sets the sums, rows of 32, or adds to them if there are more. A group begins aNext bytes after the one before.", rows, panelPlanes))
	var (
		config, left, at       = reg.RDI, reg.RSI, reg.R11
		right, out, count      = reg.R13, reg.RDX, reg.RCX
		tileStride, sumsStride = reg.R9, reg.R8
		rightStride            = reg.R10
	)
	a.Load(a.Param("config"), config)
	a.encoded(tileConfig(config))
	a.Load(a.Param("a"), left)
	a.Load(a.Param("sums"), out)
	a.MOVQ(operand.U32(64), tileStride)
	a.MOVQ(operand.U32(128), sumsStride)
	a.MOVQ(operand.U32(uint32(panelStride)), rightStride)
	sums := func(f func(t tileRegister, displacement int)) {
		for row := range rows {
			for half := range 2 {
				f(tileSums+tileRegister(2*row+half), 16*128*row+64*half)
			}
		}
	}
	group, zero, begun, loop := a.label("group"), a.label("zero"), a.label("begun"), a.label("loop")
	a.Label(group)
	a.CMPB(a.address(a.Param("more")), operand.Imm(0))
	a.JEQ(operand.LabelRef(zero))
	sums(func(t tileRegister, displacement int) {
		a.encoded(tileMemory(prefixF2, t, out, sumsStride, displacement))
	})
	a.JMP(operand.LabelRef(begun))
	a.Label(zero)
	sums(func(t tileRegister, _ int) { a.encoded(tileZero(t)) })
	a.Label(begun)
	a.MOVQ(left, at)
	a.Load(a.Param("b"), right)
	a.Load(a.Param("steps"), count)
	a.Label(loop)
	held := [2]int{-1, -1}
	for _, p := range products {
		if p[0] != held[0] {
			for row := range rows {
				a.encoded(tileMemory(prefixF2, tileLeft+tileRegister(row), at, tileStride, p[0]*planeBytes+row*tileBytes))
			}
		}
		if p[1] != held[1] {
			for half := range 2 {
				a.encoded(tileMemory(prefixF2, tileRight+tileRegister(half), right, rightStride, p[1]*planeBytes+half*panelHalf))
			}
		}
		held = p
		for row := range rows {
			for half := range 2 {
				a.encoded(tileDot(tileSums+tileRegister(2*row+half), tileLeft+tileRegister(row), tileRight+tileRegister(half)))
			}
		}
	}
	a.ADDQ(operand.U32(stepBytes), at)
	a.ADDQ(operand.U32(uint32(panelStep)), right)
	a.DECQ(count)
	a.JNZ(operand.LabelRef(loop))
	sums(func(t tileRegister, displacement int) {
		a.encoded(tileMemory(prefixF3, t, out, sumsStride, displacement))
	})
	a.ADDQ(a.address(a.Param("aNext")), left)
	a.ADDQ(operand.U32(uint32(rows*16*128)), out)
	a.DECQ(a.address(a.Param("groups")))
	a.JNZ(operand.LabelRef(group))
	a.encoded(tileRelease())
	a.RET()
}

// addRows makes a function that adds rows of 32 sums to what they begin with.
func (a *assembler) addRows() {
	a.begin("addRows", "(rows int, c *float32, cStride int, sums, start *float32, startStride int, columns uint32)",
		"sets the columns of c that are to be written to start plus sums. Strides are in bytes; that of start is 0 for one row of all.")
	c, cStride, sums, start, startStride := reg.RDI, reg.R8, reg.RSI, reg.RAX, reg.R9
	a.Load(a.Param("rows"), reg.RCX)
	a.Load(a.Param("c"), c)
	a.Load(a.Param("cStride"), cStride)
	a.Load(a.Param("sums"), sums)
	a.Load(a.Param("start"), start)
	a.Load(a.Param("startStride"), startStride)
	a.MOVL(a.address(a.Param("columns")), reg.EBX)
	masks := []reg.OpmaskPhysical{reg.K1, reg.K2}
	a.KMOVW(reg.EBX, masks[0])
	a.SHRL(operand.Imm(16), reg.EBX)
	a.KMOVW(reg.EBX, masks[1])
	loop := a.label("loop")
	a.Label(loop)
	for half, r := range avx512.regs[:2] {
		a.VMOVUPS_Z(operand.Mem{Base: start, Disp: 64 * half}, masks[half], r)
		a.VADDPS(operand.Mem{Base: sums, Disp: 64 * half}, r, r)
		a.VMOVUPS(r, masks[half], operand.Mem{Base: c, Disp: 64 * half})
	}
	a.ADDQ(operand.Imm(128), sums)
	a.ADDQ(cStride, c)
	a.ADDQ(startStride, start)
	a.DECQ(reg.RCX)
	a.JNZ(operand.LabelRef(loop))
	a.end()
}
