package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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
