package main

import "math"

// polynomial sets y to the polynomial in x with these coefficients, the highest power first. t is lost.
func (a *neon) polynomial(x, y, t int, coefficients ...float64) {
	if len(coefficients)%2 == 0 {
		y, t = t, y
	}
	a.constant(coefficients[0], y)
	for _, c := range coefficients[1:] {
		a.constant(c, t)
		a.s4("fmla", t, y, x)
		y, t = t, y
	}
}

// exp replaces x by eˣ; t, u and w are lost. The limits are those of assembler.exp; NaN stays.
func (a *neon) exp(x, t, u, w int) {
	a.constant(expLow, t)
	a.s4("fmax", x, x, t)
	a.constant(expHigh, t)
	a.s4("fmin", x, x, t)
	a.constant(math.Log2E, t)
	a.s4("fmul", t, x, t)
	a.s4("fcvtns", w, t)
	a.s4("scvtf", t, w)
	a.constant(ln2High, u)
	a.s4("fmls", x, t, u)
	a.constant(math.Ln2-ln2High, u)
	a.s4("fmls", x, t, u)
	a.polynomial(x, u, t, expSeries...)
	// 2ⁿ in two factors, so that every n of a denormal or infinite result has normal ones.
	a.shift("sshr", x, w, 1)
	a.s4("sub", w, w, x)
	a.constant(1, t)
	for _, power := range []int{x, w} {
		a.shift("shl", power, power, 23)
		a.s4("add", power, power, t)
	}
	a.s4("fmul", u, u, x)
	a.s4("fmul", x, u, w)
}

// sigmoid sets y to 1/(1+e⁻ˣ) and e to e⁻ˣ; t, u and w are lost. y may be x.
func (a *neon) sigmoid(x, y, t, u, w, e int) {
	a.s4("fneg", e, x)
	a.exp(e, t, u, w)
	a.constant(1, t)
	a.s4("fadd", u, e, t)
	a.s4("fdiv", y, t, u)
}

// tanh replaces register 0 as assembler.tanh does; 1 to 8 are lost.
func (a *neon) tanh() {
	const x, size, sign, square, near, far, t, u, w = 0, 1, 2, 3, 4, 5, 6, 7, 8
	a.bits(1<<31, t)
	a.b16("and", sign, x, t)
	a.s4("fabs", size, x)
	a.s4("fmul", square, x, x)
	a.polynomial(square, near, t, tanhSeries...)
	a.s4("fmul", near, near, square)
	a.move(x, t)
	a.s4("fmla", t, near, x)
	a.move(t, near)
	a.s4("fadd", far, size, size)
	a.exp(far, t, u, w)
	a.constant(1, t)
	a.s4("fadd", far, far, t)
	a.constant(2, u)
	a.s4("fdiv", far, u, far)
	a.s4("fsub", x, t, far)
	a.b16("orr", x, x, sign)
	a.constant(0.625, t)
	a.s4("fcmgt", t, t, size)
	a.b16("bit", x, near, t)
}

// normal sets phi to Φ(x) as assembler.normal does; 1 to 3 and 5 are lost.
func (a *neon) normal(x, phi int) {
	const z, square, q, t = 1, 2, 3, 5
	a.constant(math.Sqrt2/2, t)
	a.s4("fmul", z, x, t)
	a.constant(-4, t)
	a.s4("fmax", z, z, t)
	a.constant(4, t)
	a.s4("fmin", z, z, t)
	a.s4("fmul", square, z, z)
	a.polynomial(square, phi, t, erfNumerator...)
	a.polynomial(square, q, t, erfDenominator...)
	a.s4("fmul", phi, phi, z)
	a.s4("fdiv", phi, phi, q)
	a.constant(0.5, q)
	a.s4("fmul", phi, phi, q)
	a.s4("fadd", phi, phi, q)
}
