package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The table of constants that the functions are given; simd/constants.go holds the values in
// this order.
const (
	log2E = iota
	minusLn2High
	minusLn2Low
	exp0       // five coefficients, the highest power first
	expHalf    = exp0 + 5
	one        = expHalf + 1
	expLow     = one + 1 // below it e^x counts as e^expLow, the least normal number
	invSqrt2   = expLow + 1
	erfHigh    = invSqrt2 + 1
	erfLow     = erfHigh + 1
	erfP0      = erfLow + 1 // seven coefficients of the numerator, the highest power first
	erfQ0      = erfP0 + 7  // five coefficients of the denominator
	half       = erfQ0 + 5
	minusHalf  = half + 1
	invSqrt2Pi = minusHalf + 1
)

// registers of the element-wise functions: 16 suffice for both instruction sets.
type elementwise struct {
	*build.Context
	vector
	table operand.Mem
}

func (e elementwise) load(constant int, r reg.VecPhysical) {
	e.constant(e.Context, e.table, constant, r)
}

// exp replaces x by e^x, for x ≤ 88; t, u and k are scratch. e^x = 2^n·e^r, with a polynomial for
// e^r, |r| ≤ ln 2 / 2 (coefficients of Cephes expf, S. Moshier). NaN stays.
func (e elementwise) exp(x, t, u, k reg.VecPhysical) {
	e.load(expLow, k)
	e.VMAXPS(x, k, x) // with NaN in x the second operand, x, is the result
	e.load(log2E, k)
	e.VMULPS(k, x, t)
	if e.width == 16 {
		e.VRNDSCALEPS(operand.Imm(8), t, t)
	} else {
		e.VROUNDPS(operand.Imm(8), t, t)
	}
	e.load(minusLn2High, k)
	e.VFMADD231PS(k, t, x)
	e.load(minusLn2Low, k)
	e.VFMADD231PS(k, t, x)
	e.polynomial(exp0, 6, x, u, k)
	e.load(one, k)
	e.VFMADD213PS(k, x, u)
	e.VFMADD213PS(k, x, u)
	e.VCVTPS2DQ(t, t)
	e.VPSLLD(operand.Imm(23), t, t)
	e.VPADDD(t, u, x)
}

// function begins a function over n values, n a positive multiple of the width.
func (e elementwise) function(name, signature, doc string) {
	e.Function(name + e.name)
	e.Attributes(attr.NOSPLIT)
	e.SignatureExpr(signature)
	e.Pragma("noescape")
	e.Doc(name + e.name + " " + doc + " n is a positive multiple of the vector's width.")
}

// loop repeats body until RCX values are done, with the pointers moved on.
func (e elementwise) loop(name string, pointers []reg.GPPhysical, body func()) {
	e.Label(name)
	body()
	for _, p := range pointers {
		e.ADDQ(operand.Imm(uint64(e.bytes())), p)
	}
	e.SUBQ(operand.Imm(uint64(e.width)), reg.RCX)
	e.JNZ(operand.LabelRef(name))
}

func elementKernels(c *build.Context, v vector) {
	e := elementwise{c, v, operand.Mem{Base: reg.R8}}
	e.expScaled()
	e.gelu()
	e.geluGradient()
	e.axpy()
}

// expScaled: x = e^(scale·x - top).
func (e elementwise) expScaled() {
	e.function("expScaled", "func(n int, x *float32, scale, top float32, table *float32)", "sets x to e^(scale·x-top), for scale·x-top ≤ 88.")
	e.Load(e.Param("n"), reg.RCX)
	e.Load(e.Param("x"), reg.RDI)
	e.Load(e.Param("scale"), reg.X4)
	e.Load(e.Param("top"), reg.X5)
	e.Load(e.Param("table"), reg.R8)
	r := e.regs
	e.VBROADCASTSS(reg.X4, r[4])
	e.VBROADCASTSS(reg.X5, r[5])
	e.loop("expScaledLoop"+e.name, []reg.GPPhysical{reg.RDI}, func() {
		e.VMOVUPS(operand.Mem{Base: reg.RDI}, r[0])
		e.VFMSUB213PS(r[5], r[4], r[0])
		e.exp(r[0], r[1], r[2], r[3])
		e.VMOVUPS(r[0], operand.Mem{Base: reg.RDI})
	})
	e.VZEROUPPER()
	e.RET()
}

// normal computes of x (r[0], kept) the distribution function Φ(x) = (1 + erf(x/√2))/2 into r[7]; r[1] to r[5]
// are scratch. erf is a quotient of polynomials in the square, an odd minimax approximation on [-4, 4], beyond which
// it is ±1 in float32 (the coefficients of Eigen's and XLA's erf).
func (e elementwise) normal() {
	r := e.regs
	e.load(invSqrt2, r[2])
	e.VMULPS(r[2], r[0], r[1])
	e.load(erfHigh, r[2])
	e.VMINPS(r[1], r[2], r[1])
	e.load(erfLow, r[2])
	e.VMAXPS(r[1], r[2], r[1])
	e.VMULPS(r[1], r[1], r[3])
	e.polynomial(erfP0, 7, r[3], r[4], r[2])
	e.polynomial(erfQ0, 5, r[3], r[5], r[2])
	e.VMULPS(r[1], r[4], r[4])
	e.VDIVPS(r[5], r[4], r[4]) // erf
	e.load(half, r[7])
	e.VFMADD213PS(r[7], r[7], r[4]) // erf/2 + 1/2
	e.VMOVAPS(r[4], r[7])
}

// polynomial sets y to the polynomial in x of n coefficients, the highest power first.
func (e elementwise) polynomial(first, n int, x, y, k reg.VecPhysical) {
	e.load(first, y)
	for i := first + 1; i < first+n; i++ {
		e.load(i, k)
		e.VFMADD213PS(k, x, y)
	}
}

// gelu: y = x·Φ(x).
func (e elementwise) gelu() {
	e.function("gelu", "func(n int, y, x, table *float32)", "sets y to x·Φ(x).")
	e.Load(e.Param("n"), reg.RCX)
	e.Load(e.Param("y"), reg.RDI)
	e.Load(e.Param("x"), reg.RSI)
	e.Load(e.Param("table"), reg.R8)
	r := e.regs
	e.loop("geluLoop"+e.name, []reg.GPPhysical{reg.RDI, reg.RSI}, func() {
		e.VMOVUPS(operand.Mem{Base: reg.RSI}, r[0])
		e.normal()
		e.VMULPS(r[0], r[7], r[7])
		e.VMOVUPS(r[7], operand.Mem{Base: reg.RDI})
	})
	e.VZEROUPPER()
	e.RET()
}

// geluGradient: gx = gy·(Φ(x) + x·φ(x)).
func (e elementwise) geluGradient() {
	e.function("geluGradient", "func(n int, gx, gy, x, table *float32)", "sets gx to gy times the derivative of x·Φ(x).")
	e.Load(e.Param("n"), reg.RCX)
	e.Load(e.Param("gx"), reg.RDI)
	e.Load(e.Param("gy"), reg.RDX)
	e.Load(e.Param("x"), reg.RSI)
	e.Load(e.Param("table"), reg.R8)
	r := e.regs
	e.loop("geluGradientLoop"+e.name, []reg.GPPhysical{reg.RDI, reg.RDX, reg.RSI}, func() {
		e.VMOVUPS(operand.Mem{Base: reg.RSI}, r[0])
		e.normal()
		e.load(minusHalf, r[2])
		e.VMULPS(r[0], r[0], r[1])
		e.VMULPS(r[2], r[1], r[1])
		e.exp(r[1], r[3], r[4], r[5]) // e^(-x²/2)
		e.load(invSqrt2Pi, r[2])
		e.VMULPS(r[2], r[1], r[1]) // φ(x)
		e.VFMADD231PS(r[1], r[0], r[7])
		e.VMULPS(operand.Mem{Base: reg.RDX}, r[7], r[7])
		e.VMOVUPS(r[7], operand.Mem{Base: reg.RDI})
	})
	e.VZEROUPPER()
	e.RET()
}

// axpy: y += alpha·x.
func (e elementwise) axpy() {
	e.function("axpy", "func(n int, alpha float32, x, y *float32)", "adds alpha·x to y.")
	e.Load(e.Param("n"), reg.RCX)
	e.Load(e.Param("alpha"), reg.X1)
	e.Load(e.Param("x"), reg.RSI)
	e.Load(e.Param("y"), reg.RDI)
	r := e.regs
	e.VBROADCASTSS(reg.X1, r[1])
	e.loop("axpyLoop"+e.name, []reg.GPPhysical{reg.RSI, reg.RDI}, func() {
		e.VMOVUPS(operand.Mem{Base: reg.RDI}, r[0])
		e.VFMADD231PS(operand.Mem{Base: reg.RSI}, r[1], r[0])
		e.VMOVUPS(r[0], operand.Mem{Base: reg.RDI})
	})
	e.VZEROUPPER()
	e.RET()
}
