package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector is an instruction set: its registers, and the shape of its matrix kernel.
type vector struct {
	name  string // in function names
	width int    // float32 values in a register
	rows  int    // most rows of the matrix kernel
	regs  []reg.VecPhysical
}

// The matrix kernels keep rows×2 registers of sums, two of the right-hand side and two of the
// left: 14×2+4 of 32, and 6×2+4 of 16.
var (
	avx512 = vector{"AVX512", 16, 14, []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10,
		reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21,
		reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}}
	avx2 = vector{"AVX2", 8, 6, []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}}
)

func (v vector) bytes() int { return 4 * v.width }

func (v vector) zero(c *build.Context, r reg.VecPhysical) {
	if v.width == 16 {
		c.VPXORD(r, r, r)
		return
	}
	c.VXORPS(r, r, r)
}

// constant broadcasts a float32 of a constant table.
func (v vector) constant(c *build.Context, table operand.Mem, index int, r reg.VecPhysical) {
	c.VBROADCASTSS(table.Offset(4*index), r)
}
