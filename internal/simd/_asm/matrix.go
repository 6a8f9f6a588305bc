package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// leftStride is the distance of two rows of the left-hand side in bytes: the 512 values of a
// block and a cache line more, so that rows do not fall on the same cache set.
const leftStride = 512*4 + 64

// matrixKernel makes a function that multiplies rows rows of a left-hand side with one panel of
// 2·width columns: c[r][j] = start[j] or c[r][j] + Σ a[r][i]·panel[i][j]. The sum of an element
// is always taken in the order of i, whatever the number of rows.
func matrixKernel(c *build.Context, v vector, rows int) {
	name := fmt.Sprintf("multiply%s%d", v.name, rows)
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(n int, a, panel, c *float32, stride int, start *float32)")
	c.Pragma("noescape")
	c.Doc(fmt.Sprintf("%s multiplies %d rows a with a panel of %d columns. stride is that of c in bytes; sums begin at start, or at c where that is nil.",
		name, rows, 2*v.width))
	n, a, panel := reg.RCX, reg.RSI, reg.RDI
	out, stride, start := reg.RDX, reg.R8, reg.R9
	c.Load(c.Param("n"), n)
	c.Load(c.Param("a"), a)
	c.Load(c.Param("panel"), panel)
	c.Load(c.Param("c"), out)
	c.Load(c.Param("stride"), stride)
	c.Load(c.Param("start"), start)

	sum := func(r, half int) reg.VecPhysical { return v.regs[2*r+half] }
	right := v.regs[2*v.rows : 2*v.rows+2]
	left := v.regs[2*v.rows+2 : 2*v.rows+4]

	label := func(s string) string { return name + s }
	c.TESTQ(start, start)
	c.JZ(operand.LabelRef(label("fromC")))
	for half := range 2 {
		c.VMOVUPS(operand.Mem{Base: start, Disp: half * v.bytes()}, sum(0, half))
		for r := 1; r < rows; r++ {
			c.VMOVAPS(sum(0, half), sum(r, half))
		}
	}
	c.JMP(operand.LabelRef(label("begin")))
	c.Label(label("fromC"))
	c.MOVQ(out, reg.R10)
	for r := range rows {
		for half := range 2 {
			c.VMOVUPS(operand.Mem{Base: reg.R10, Disp: half * v.bytes()}, sum(r, half))
		}
		c.ADDQ(stride, reg.R10)
	}
	c.Label(label("begin"))

	step := func(at int) {
		for half := range 2 {
			c.VMOVUPS(operand.Mem{Base: panel, Disp: (2*at + half) * v.bytes()}, right[half])
		}
		for r := range rows {
			x := left[r%2]
			c.VBROADCASTSS(operand.Mem{Base: a, Disp: r*leftStride + 4*at}, x)
			for half := range 2 {
				c.VFMADD231PS(right[half], x, sum(r, half))
			}
		}
	}
	const unroll = 4
	c.MOVQ(n, reg.R11)
	c.SHRQ(operand.Imm(2), reg.R11)
	c.JZ(operand.LabelRef(label("tail")))
	c.Label(label("loop"))
	for at := range unroll {
		step(at)
	}
	c.ADDQ(operand.U32(4*unroll), a)
	c.ADDQ(operand.U32(2*unroll*v.bytes()), panel)
	c.DECQ(reg.R11)
	c.JNZ(operand.LabelRef(label("loop")))
	c.Label(label("tail"))
	c.ANDQ(operand.Imm(unroll-1), n)
	c.JZ(operand.LabelRef(label("store")))
	c.Label(label("one"))
	step(0)
	c.ADDQ(operand.U32(4), a)
	c.ADDQ(operand.U32(2*v.bytes()), panel)
	c.DECQ(n)
	c.JNZ(operand.LabelRef(label("one")))
	c.Label(label("store"))
	for r := range rows {
		for half := range 2 {
			c.VMOVUPS(sum(r, half), operand.Mem{Base: out, Disp: half * v.bytes()})
		}
		c.ADDQ(stride, out)
	}
	c.VZEROUPPER()
	c.RET()
}
