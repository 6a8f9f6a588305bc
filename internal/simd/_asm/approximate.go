package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// polynomial sets y to the polynomial in x with these coefficients, the highest power first.
func (a *assembler) polynomial(x, y reg.VecPhysical, coefficients ...float64) {
	a.VMOVUPS(a.constant(coefficients[0]), y)
	for _, c := range coefficients[1:] {
		a.VFMADD213PS(a.constant(c), x, y)
	}
}

// clamp limits x to [low, high]; NaN stays. t is lost.
func (a *assembler) clamp(x, t reg.VecPhysical, low, high float64) {
	// With NaN in x the first operand, x, is the result.
	a.VMAXPS(x, a.constantIn(t, low), x)
	a.VMINPS(x, a.constantIn(t, high), x)
}

// exp replaces x by eˣ; t and u are lost. Beyond the limits of clamp eˣ is 0 or infinite in float32.
func (a *assembler) exp(x, t, u reg.VecPhysical) {
	a.clamp(x, t, expLow, expHigh)
	a.expWithin(x, t, u)
}

// expBelow is exp for an x that is not much more than 0.
func (a *assembler) expBelow(x, t, u reg.VecPhysical) {
	a.VMAXPS(x, a.constantIn(t, expLow), x)
	a.expWithin(x, t, u)
}

const (
	expLow  = -104
	expHigh = 88.8
	ln2High = float64(float32(math.Ln2))
)

// expSeries are the coefficients of Cephes' expf (S. Moshier).
var expSeries = []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1}

// holdExp holds the constants of expBelow.
func (a *assembler) holdExp() {
	a.hold(append([]float64{expLow, math.Log2E, ln2High, math.Ln2 - ln2High}, expSeries[:len(expSeries)-1]...)...)
}

// expWithin is exp for an x within the limits: eˣ = 2ⁿ·eʳ, with a polynomial for eʳ, |r| ≤ ln 2 / 2.
func (a *assembler) expWithin(x, t, u reg.VecPhysical) {
	a.VMULPS(a.constant(math.Log2E), x, t)
	a.round(t, t)
	a.VFNMADD231PS(a.constant(ln2High), t, x)
	a.VFNMADD231PS(a.constant(math.Ln2-ln2High), t, x)
	a.polynomial(x, u, expSeries...)
	if a.wide() {
		a.VSCALEFPS(t, u, x)
		return
	}
	// 2ⁿ in two factors, so that every n of a denormal or infinite result has normal ones.
	a.VCVTPS2DQ(t, t)
	a.VPSRAD(operand.Imm(1), t, x)
	a.VPSUBD(x, t, t)
	for _, power := range []reg.VecPhysical{x, t} {
		a.VPSLLD(operand.Imm(23), power, power)
		a.VPADDD(a.constant(1), power, power)
		a.VMULPS(power, u, u)
	}
	a.VMOVAPS(u, x)
}

// sigmoid sets y to 1/(1+e⁻ˣ) and e to e⁻ˣ; t and u are lost. y may be x.
func (a *assembler) sigmoid(x, y, t, u, e reg.VecPhysical) {
	a.zero(e)
	a.VSUBPS(x, e, e)
	a.exp(e, t, u)
	a.VMOVUPS(a.constant(1), t)
	a.VADDPS(t, e, u)
	a.VDIVPS(u, t, y)
}

// tanhSeries are the coefficients of Cephes' tanhf below 0.625, in the square.
var tanhSeries = []float64{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}

// tanh replaces r[0]: near 0 by an odd polynomial, else by 1-2/(e^2|x|+1) with the sign of x.
func (a *assembler) tanh() {
	r := a.regs
	x, size, sign, square, near := r[0], r[1], r[2], r[3], r[4]
	a.and(a.bits(0x8000_0000), x, sign)
	a.and(a.bits(0x7fff_ffff), x, size)
	a.VMULPS(x, x, square)
	a.polynomial(square, near, tanhSeries...)
	a.VMULPS(square, near, near)
	a.VFMADD213PS(x, x, near)
	a.VADDPS(size, size, r[5])
	a.exp(r[5], r[6], r[7])
	a.VMOVUPS(a.constant(1), r[6])
	a.VADDPS(r[6], r[5], r[5])
	a.VMOVUPS(a.constant(2), r[7])
	a.VDIVPS(r[5], r[7], r[5])
	a.VSUBPS(r[5], r[6], x)
	a.or(sign, x, x)
	a.VMOVUPS(a.constant(0.625), r[6])
	a.replaceWhere(less, size, r[6], x, near, r[7])
}

// erf is a quotient of polynomials in the square, an odd minimax approximation on [-4, 4], beyond which it is ±1 in
// float32 (the coefficients of Eigen's and XLA's erf).
var (
	erfNumerator = []float64{
		-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
		-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
	}
	erfDenominator = []float64{
		-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02,
	}
)

// normal sets phi to the distribution function Φ(x) = (1 + erf(x/√2))/2; r[1] to r[3] are lost.
func (a *assembler) normal(x, phi reg.VecPhysical) {
	z, square, q := a.regs[1], a.regs[2], a.regs[3]
	a.VMULPS(a.constant(math.Sqrt2/2), x, z)
	a.clamp(z, square, -4, 4)
	a.VMULPS(z, z, square)
	a.polynomial(square, phi, erfNumerator...)
	a.polynomial(square, q, erfDenominator...)
	a.VMULPS(z, phi, phi)
	a.VDIVPS(q, phi, phi)
	a.VMOVUPS(a.constant(0.5), q)
	a.VFMADD213PS(q, q, phi)
}

func (a *assembler) and(x operand.Op, y, z reg.VecPhysical) {
	if a.wide() {
		a.VPANDD(x, y, z)
		return
	}
	a.VANDPS(x, y, z)
}

func (a *assembler) or(x operand.Op, y, z reg.VecPhysical) {
	if a.wide() {
		a.VPORD(x, y, z)
		return
	}
	a.VORPS(x, y, z)
}
