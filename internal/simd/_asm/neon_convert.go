package main

import "fmt"

// conversions makes the functions between float32 and 16-bit values. All take a multiple of 16 values, and do 8 at a time.
func (a *neon) conversions() {
	a.conversion("roundBFloat16", "y []uint16, x []float32", "rounds x to bfloat16, ties to even; NaN stays NaN.",
		[]int{2, 4}, func(p []string) {
			a.emit("FLDPQ", memory(0, p[1]), pair(0, 1))
			a.roundToBFloat16(0)
			a.roundToBFloat16(1)
			a.vector("uzp2 %.8h, %.8h, %.8h", 0, 0, 1) // the upper halves
			a.emit("FMOVQ", f(0), memory(0, p[0]))
		})
	a.conversion("pairWords", "y []uint32, x, z []uint16", "sets y to pairs of x and z, x in the lower half.",
		[]int{4, 2, 2}, func(p []string) {
			a.emit("FMOVQ", memory(0, p[1]), f(0))
			a.emit("FMOVQ", memory(0, p[2]), f(1))
			a.vector("zip1 %.8h, %.8h, %.8h", 2, 0, 1)
			a.vector("zip2 %.8h, %.8h, %.8h", 3, 0, 1)
			a.emit("FSTPQ", pair(2, 3), memory(0, p[0]))
		})
	a.conversion("widenBFloat16", "y []float32, x []uint16", "converts bfloat16 to float32.",
		[]int{4, 2}, func(p []string) {
			a.emit("FMOVQ", memory(0, p[1]), f(0))
			a.vector("shll %.4s, %.4h, #16", 2, 0)
			a.vector("shll2 %.4s, %.8h, #16", 3, 0)
			a.emit("FSTPQ", pair(2, 3), memory(0, p[0]))
		})
	a.conversion("widenFloat16", "y []float32, x []uint16", "converts float16 to float32.",
		[]int{4, 2}, func(p []string) {
			a.emit("FMOVQ", memory(0, p[1]), f(0))
			a.vector("fcvtl %.4s, %.4h", 2, 0)
			a.vector("fcvtl2 %.4s, %.8h", 3, 0)
			a.emit("FSTPQ", pair(2, 3), memory(0, p[0]))
		})
}

// conversion makes a function on slices, of which sizes says the bytes of a value.
func (a *neon) conversion(name, slices, doc string, sizes []int, body func(p []string)) {
	a.begin(name, "("+slices+")", doc+" y has a multiple of 16 values.")
	p := a.start([]string{"y", "x", "z"}[:len(sizes)]...)
	loop, done := a.label("loop"), a.label("done")
	a.Label(loop)
	a.emit("CBZ", neonCount, done)
	body(p)
	for i, size := range sizes {
		a.emit("ADD", fmt.Sprintf("$%d", 8*size), p[i])
	}
	a.emit("SUB", "$8", neonCount)
	a.emit("JMP", loop)
	a.Label(done)
	a.end()
}

// roundToBFloat16 leaves bfloat16 in the upper halves of x; the lower ones are undefined. Registers 4 to 6 are lost.
func (a *neon) roundToBFloat16(x int) {
	a.shift("ushr", 4, x, 16)
	a.bits(1, 5)
	a.b16("and", 4, 4, 5)
	a.bits(0x7fff, 5)
	a.s4("add", 4, 4, 5)
	a.s4("add", 4, 4, x) // what is cut off is rounded half to even
	a.bits(0x400000, 5)
	a.b16("orr", 5, 5, x)
	a.s4("fcmeq", 6, x, x) // not with NaN
	a.b16("bsl", 6, 4, 5)
	a.move(6, x)
}

// transpose makes a function that transposes 8 rows.
func (a *neon) transpose() {
	a.begin("transpose", "(n int, to *float32, toStride int, from *float32, fromStride int)",
		"writes 8 rows of n values as n rows of 8. n is a positive multiple of 4, strides are in bytes.")
	const n, to, toStride, from, fromStride, row = "R0", "R1", "R2", "R3", "R4", "R5"
	for _, p := range [][2]string{{"n", n}, {"to", to}, {"toStride", toStride}, {"from", from}, {"fromStride", fromStride}} {
		a.parameter(p[0], p[1])
	}
	loop := a.label("loop")
	a.Label(loop)
	a.emit("MOVD", from, row)
	for i := range 8 {
		a.emit("FMOVQ", memory(0, row), f(i))
		a.emit("ADD", fromStride, row)
	}
	// Each four rows of four become four columns, in registers 16 to 19 and 20 to 23.
	for half := range 2 {
		x, t, y := 4*half, 8+4*half, 16+4*half
		for i := range 2 {
			a.s4("trn1", t+2*i, x+2*i, x+2*i+1)
			a.s4("trn2", t+2*i+1, x+2*i, x+2*i+1)
		}
		for i := range 2 {
			a.d2("zip1", y+i, t+i, t+2+i)
			a.d2("zip2", y+2+i, t+i, t+2+i)
		}
	}
	for i := range 4 {
		a.emit("FSTPQ", pair(16+i, 20+i), memory(0, to))
		a.emit("ADD", toStride, to)
	}
	a.emit("ADD", "$16", from)
	a.emit("SUBS", "$4", n)
	a.emit("BNE", loop)
	a.end()
}
