package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A float32 is the sum of three bfloat16, its planes: the nearest one, the nearest to what is left, and what is left then.
// Of each step of 32 columns of a left-hand side lie one after the other the planes, the largest first, and of each plane two tiles.
const (
	planes     = 3
	tileBytes  = 16 * 64
	planeBytes = 2 * tileBytes
	stepBytes  = planes * planeBytes
)

// splits makes the functions of products of float32 with bfloat16 by AMX.
func (a *assembler) splits() {
	a.splitRow()
	for rows := 1; rows <= 2; rows++ {
		a.splitKernel(rows)
	}
	a.addRows()
}

// splitRow splits a row of a left-hand side.
func (a *assembler) splitRow() {
	a.begin("splitRow", "(steps int, x, to *float32)", "splits a row of steps times 32 values.")
	a.Load(a.Param("steps"), reg.RCX)
	a.Load(a.Param("x"), reg.RSI)
	a.Load(a.Param("to"), reg.RDI)
	half, mask, index := reg.Z31, reg.Z30, reg.Z29
	a.VMOVUPS(a.bits(0x8000), half)
	a.VMOVUPS(a.bits(0xffff0000), mask)
	a.VMOVUPS(a.upperWords(), index)
	loop := a.label("loop")
	a.Label(loop)
	r := avx512.regs
	for i := range 2 {
		x := r[planes*i+2] // and the last plane, when the others are taken away; each is in the upper halves of words
		a.VMOVUPS(operand.Mem{Base: reg.RSI, Disp: 64 * i}, x)
		for _, plane := range r[planes*i:][:2] {
			a.VPADDD(half, x, plane) // ties away from zero: what is left is exact all the same
			a.VPANDD(mask, plane, plane)
			a.VSUBPS(plane, x, x)
		}
	}
	for plane := range planes {
		a.VPERMT2W(r[planes+plane], index, r[plane])
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

// splitKernel makes a function that multiplies groups of one or two tiles of rows in planes with a panel of bfloat16 as it is packed.
func (a *assembler) splitKernel(rows int) {
	a.begin(fmt.Sprintf("splitTiles%d", rows),
		"(config *byte, steps int, a *float32, aNext int, b, sums *float32, more bool, groups int)",
		fmt.Sprintf("multiplies groups of %d times 16 split rows with a panel of 32 columns. It sets the sums, rows of 32, or adds to them if there are more. A group begins aNext bytes after the one before.", rows))
	var (
		config, left, at      = reg.RDI, reg.RSI, reg.R11
		right, out, count     = reg.R13, reg.RDX, reg.RCX
		tileStride, rowStride = reg.R9, reg.R8 // of a row in planes, and of a row of sums or of the panel
	)
	a.Load(a.Param("config"), config)
	a.encoded(tileConfig(config))
	a.Load(a.Param("a"), left)
	a.Load(a.Param("sums"), out)
	a.MOVQ(operand.U32(64), tileStride)
	a.MOVQ(operand.U32(128), rowStride)
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
		a.encoded(tileMemory(prefixF2, t, out, rowStride, displacement))
	})
	a.JMP(operand.LabelRef(begun))
	a.Label(zero)
	sums(func(t tileRegister, _ int) { a.encoded(tileZero(t)) })
	a.Label(begun)
	a.MOVQ(left, at)
	a.Load(a.Param("b"), right)
	a.Load(a.Param("steps"), count)
	a.Label(loop)
	for half := range 2 {
		a.encoded(tileMemory(prefixF2, tileRight+tileRegister(half), right, rowStride, 64*half))
	}
	for plane := planes - 1; plane >= 0; plane-- { // the smallest first
		for row := range rows {
			a.encoded(tileMemory(prefixF2, tileLeft+tileRegister(row), at, tileStride, plane*planeBytes+row*tileBytes))
			for half := range 2 {
				a.encoded(tileDot(tileSums+tileRegister(2*row+half), tileLeft+tileRegister(row), tileRight+tileRegister(half)))
			}
		}
	}
	a.ADDQ(operand.U32(stepBytes), at)
	a.ADDQ(operand.U32(planeBytes), right)
	a.DECQ(count)
	a.JNZ(operand.LabelRef(loop))
	sums(func(t tileRegister, displacement int) {
		a.encoded(tileMemory(prefixF3, t, out, rowStride, displacement))
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
