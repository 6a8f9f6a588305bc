package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// conversions makes the functions between float32 and 16-bit values. All take a multiple of 16 values.
func (a *assembler) conversions() {
	r := a.regs
	step := 16 / a.width
	a.conversion("roundBFloat16", "y []uint16, x []float32", "rounds x to bfloat16, ties to even; NaN stays NaN.",
		[]int{2, 4}, func(p []reg.GPPhysical) {
			for i := range step {
				a.VMOVUPS(operand.Mem{Base: p[1], Disp: i * a.bytes()}, r[i])
				a.roundToBFloat16(r[i], r[2], r[3])
				a.VPSRLD(operand.Imm(16), r[i], r[i])
			}
			a.storeWords(r[0], r[1], p[0])
		})
	a.conversion("pairWords", "y []uint32, x, z []uint16", "sets y to pairs of x and z, x in the lower half.",
		[]int{4, 2, 2}, func(p []reg.GPPhysical) {
			for i := range step {
				a.VPMOVZXWD(operand.Mem{Base: p[1], Disp: i * a.bytes() / 2}, r[0])
				a.VPMOVZXWD(operand.Mem{Base: p[2], Disp: i * a.bytes() / 2}, r[1])
				a.VPSLLD(operand.Imm(16), r[1], r[1])
				a.or(r[0], r[1], r[1])
				a.VMOVUPS(r[1], operand.Mem{Base: p[0], Disp: i * a.bytes()})
			}
		})
	a.conversion("widenBFloat16", "y []float32, x []uint16", "converts bfloat16 to float32.",
		[]int{4, 2}, func(p []reg.GPPhysical) {
			for i := range step {
				a.VPMOVZXWD(operand.Mem{Base: p[1], Disp: i * a.bytes() / 2}, r[0])
				a.VPSLLD(operand.Imm(16), r[0], r[0])
				a.VMOVUPS(r[0], operand.Mem{Base: p[0], Disp: i * a.bytes()})
			}
		})
	a.conversion("widenFloat16", "y []float32, x []uint16", "converts float16 to float32.",
		[]int{4, 2}, func(p []reg.GPPhysical) {
			for i := range step {
				a.VCVTPH2PS(operand.Mem{Base: p[1], Disp: i * a.bytes() / 2}, r[0])
				a.VMOVUPS(r[0], operand.Mem{Base: p[0], Disp: i * a.bytes()})
			}
		})
}

// conversion makes a function on slices, of which sizes says the bytes of a value.
func (a *assembler) conversion(name, slices, doc string, sizes []int, body func(p []reg.GPPhysical)) {
	a.begin(name, fmt.Sprintf("(%s)", slices), doc+" y has a multiple of 16 values.")
	p := a.start([]string{"y", "x", "z"}[:len(sizes)]...)
	loop, done := a.label("loop"), a.label("done")
	a.Label(loop)
	a.SUBQ(operand.Imm(16), reg.RCX)
	a.JL(operand.LabelRef(done))
	body(p)
	for i, size := range sizes {
		a.ADDQ(operand.Imm(uint64(16*size)), p[i])
	}
	a.JMP(operand.LabelRef(loop))
	a.Label(done)
	a.end()
}

// roundToBFloat16 leaves bfloat16 in the upper halves of x; the lower ones are undefined. t and u are lost.
func (a *assembler) roundToBFloat16(x, t, u reg.VecPhysical) {
	a.VPSRLD(operand.Imm(16), x, t)
	a.and(a.bits(1), t, t)
	a.VPADDD(a.bits(0x7fff), t, t)
	a.VPADDD(x, t, t) // what is cut off is rounded half to even
	a.or(a.bits(0x400000), x, u)
	if a.wide() {
		a.VCMPPS(operand.Imm(unordered), x, x, reg.K2)
		a.VMOVAPS(u, reg.K2, t)
		a.VMOVAPS(t, x)
		return
	}
	a.VCMPPS(operand.Imm(unordered), x, x, x)
	a.VBLENDVPS(x, u, t, x)
}

// storeWords stores the lower words of 16 double words in x and, with AVX2, y. y is lost.
func (a *assembler) storeWords(x, y reg.VecPhysical, to reg.GPPhysical) {
	m := operand.Mem{Base: to}
	if a.wide() {
		a.VPMOVDW(x, m)
		return
	}
	a.VPACKUSDW(y, x, y)
	a.VPERMQ(operand.Imm(0b11_01_10_00), y, y)
	a.VMOVUPS(y, m)
}
