package main

import "math"

// neonSums is the first of two registers of sums in float64: of the lower halves of vectors, and of the upper ones.
type neonSums int

// rowFunctions makes the functions that reduce a row, and those that normalise it, as those of amd64 do.
func (a *neon) rowFunctions() {
	a.reduction("sum", "x []float32", "the sum of x", func(s neonSums, _ []string) { a.addTo(s, 0) }, "x")
	a.reduction("dot", "x, y []float32", "Σ x·y", func(s neonSums, p []string) {
		a.load(p[1], 1)
		a.addProduct(s, 0, 1)
	}, "x", "y")
	a.maxAbs()
	a.softmax()
	a.softmaxGradient()
	a.layerNorm()
	a.rmsNorm()
	a.normGradient("layerNormGradient", true)
	a.normGradient("rmsNormGradient", false)
}

// widen converts the halves of x to float64.
func (a *neon) widen(x, low, high int) {
	a.vector("fcvtl %.2d, %.2s", low, x)
	a.vector("fcvtl2 %.2d, %.4s", high, x)
}

// addTo adds x. Registers 16 to 19 are lost.
func (a *neon) addTo(s neonSums, x int) {
	a.widen(x, 16, 17)
	a.d2("fadd", int(s), int(s), 16)
	a.d2("fadd", int(s)+1, int(s)+1, 17)
}

// addProduct adds x·y, which is exact in float64. Registers 16 to 19 are lost.
func (a *neon) addProduct(s neonSums, x, y int) {
	a.widen(x, 16, 17)
	other := 16
	if x != y {
		other = 18
		a.widen(y, 18, 19)
	}
	a.d2("fmla", int(s), 16, other)
	a.d2("fmla", int(s)+1, 17, other+1)
}

func (a *neon) clear(s neonSums) {
	a.zero(int(s))
	a.zero(int(s) + 1)
}

// total adds the lanes; the sum is in the lowest one.
func (a *neon) total(s neonSums) string {
	a.d2("fadd", int(s), int(s), int(s)+1)
	a.vector("faddp d%, %.2d", int(s), int(s))
	return f(int(s))
}

// reduction makes a sum; body adds the terms of a vector of the first slice in register 0.
func (a *neon) reduction(name, parameters, doc string, body func(s neonSums, p []string), names ...string) {
	a.begin(name, "("+parameters+") float64", "returns "+doc+".")
	p := a.start(names...)
	const s = neonSums(20)
	a.clear(s)
	a.each(p, func() {
		a.load(p[0], 0)
		body(s, p)
	})
	a.emit("FMOVD", a.total(s), a.address(a.ReturnIndex(0)))
	a.end()
}

// maxAbs compares the bits: those of a NaN are more than those of an infinity.
func (a *neon) maxAbs() {
	a.begin("maxAbs", "(x []float32) float32", "returns the largest magnitude in x, NaN if x has one.")
	p := a.start("x")
	a.zero(1)
	a.each(p, func() {
		a.load(p[0], 0)
		a.s4("fabs", 0, 0)
		a.s4("umax", 1, 1, 0)
	})
	a.vector("umaxv s%, %.4s", 1, 1)
	a.emit("FMOVS", f(1), a.address(a.ReturnIndex(0)))
	a.end()
}

// narrow sets all lanes of y to a float64.
func (a *neon) narrow(x string, y int) {
	a.emit("FCVTDS", x, f(y))
	a.spread(y)
}

// inverse sets all lanes of y to 1/x, for a float64 x. t is lost.
func (a *neon) inverse(x string, y, t int) {
	a.emit("FMOVD", "$1.0", f(t))
	a.emit("FDIVD", x, f(t), f(t))
	a.narrow(f(t), y)
}

// softmax: x = exp(scale·x-top), in two passes: the largest, top; the exponentials and their sum, in float64. The largest
// passes over NaN, which comes back in the sum.
func (a *neon) softmax() {
	a.begin("softmax", "(x []float32, scale float32) (top, inverse float32)",
		"replaces x by exp(scale·x-top), where top is the largest scale·x, and returns top and the inverse of the sum.")
	const x, scale, least, top, sum = 0, 6, 5, 7, neonSums(20)
	p := a.start("x")
	a.broadcast("scale", scale)
	a.constant(-math.MaxFloat32, least) // not -Inf, which leaves NaN of a row of -Inf
	a.move(least, top)
	a.each(p, func() {
		a.load(p[0], x)
		a.s4("fmul", x, x, scale)
		a.fill(x, least)
		a.s4("fmaxnm", top, top, x)
	})
	a.vector("fmaxnmv s%, %.4s", top, top)
	a.emit("FMOVS", f(top), a.address(a.ReturnIndex(0)))
	a.spread(top)
	a.clear(sum)
	a.start("x")
	a.each(p, func() {
		a.shifted(p[0], x, scale, top)
		a.keep(x)
		a.store(x, p[0])
		a.addTo(sum, x)
	})
	a.inverse(a.total(sum), x, 1)
	a.emit("FMOVS", f(x), a.address(a.ReturnIndex(1)))
	a.end()
}

// shifted sets x to exp(scale·x-top), for the x at a place. Registers 1 to 4 are lost.
func (a *neon) shifted(from string, x, scale, top int) {
	a.load(from, 1)
	a.s4("fneg", x, top)
	a.s4("fmla", x, 1, scale)
	a.exp(x, 1, 2, 3)
}

// softmaxGradient: p = inverse·exp(scale·p-top), d = scale·p∘(d-inner).
func (a *neon) softmaxGradient() {
	a.begin("softmaxGradient", "(p, d []float32, scale, top, inverse, inner float32)",
		"replaces p by inverse·exp(scale·p-top), and d by scale·p∘(d-inner).")
	const x, d, scale, top, inverse, inner = 0, 5, 6, 7, 20, 21
	p := a.start("p", "d")
	a.broadcast("scale", scale)
	a.broadcast("top", top)
	a.broadcast("inverse", inverse)
	a.broadcast("inner", inner)
	a.each(p, func() {
		a.shifted(p[0], x, scale, top)
		a.s4("fmul", x, x, inverse)
		a.store(x, p[0])
		a.load(p[1], d)
		a.s4("fsub", d, d, inner)
		a.s4("fmul", d, d, x)
		a.s4("fmul", d, d, scale)
		a.store(d, p[1])
	})
	a.end()
}

// mean divides the total of s by the length of the slice. Register 0 is lost.
func (a *neon) mean(s neonSums, slice string) string {
	total := a.total(s)
	a.emit("MOVD", a.address(a.Param(slice).Len()), neonSpare)
	a.emit("SCVTFD", neonSpare, "F0")
	a.emit("FDIVD", "F0", total, total)
	return total
}

// inverseDeviation sets y to 1/√(x+eps), for a float64 x, and returns it from the function. Register 0 is lost.
func (a *neon) inverseDeviation(x string, y int) {
	a.emit("FMOVS", a.address(a.Param("eps")), "F0")
	a.emit("FCVTSD", "F0", "F0")
	a.emit("FADDD", "F0", x, x)
	a.emit("FSQRTD", x, x)
	a.inverse(x, y, 0)
	a.emit("FMOVS", f(y), a.address(a.ReturnIndex(0)))
}

// residualSum writes x, plus the residual if there is one, to xhat, and calls body with it in register 0.
func (a *neon) residualSum(body func()) {
	alone, done := a.label("alone"), a.label("summed")
	p := a.start("xhat", "x", "residual")
	a.emit("CBZ", p[2], alone)
	a.each(p, func() {
		a.load(p[1], 0)
		a.load(p[2], 1)
		a.s4("fadd", 0, 0, 1)
		a.store(0, p[0])
		body()
	})
	a.emit("JMP", done)
	a.Label(alone)
	a.each(p[:2], func() {
		a.load(p[1], 0)
		a.store(0, p[0])
		body()
	})
	a.Label(done)
}

// layerNorm: xhat = (x+residual-mean)/√(variance+eps), y = xhat∘gamma + beta.
func (a *neon) layerNorm() {
	a.begin("layerNorm", "(y, xhat, x, residual, gamma, beta []float32, eps float32) float32",
		"sets xhat to the normalised x+residual and y to xhat∘gamma+beta, and returns the inverse deviation. Without a residual its address is nil.")
	const s, mean, rstd = neonSums(20), 7, 6
	a.clear(s)
	a.residualSum(func() { a.addTo(s, 0) })
	a.narrow(a.mean(s, "x"), mean)

	a.clear(s)
	p := a.start("xhat")
	a.each(p, func() {
		a.load(p[0], 0)
		a.s4("fsub", 0, 0, mean)
		a.keep(0)
		a.addProduct(s, 0, 0)
	})
	a.inverseDeviation(a.mean(s, "x"), rstd)

	p = a.start("y", "xhat", "gamma", "beta")
	a.each(p, func() {
		a.load(p[1], 0)
		a.load(p[2], 1)
		a.load(p[3], 2)
		a.s4("fsub", 0, 0, mean)
		a.s4("fmul", 0, 0, rstd)
		a.store(0, p[1])
		a.s4("fmla", 2, 0, 1)
		a.store(2, p[0])
	})
	a.end()
}

// rmsNorm: xhat = (x+residual)/√(mean square+eps), y = xhat∘gamma.
func (a *neon) rmsNorm() {
	a.begin("rmsNorm", "(y, xhat, x, residual, gamma []float32, eps float32) float32",
		"sets xhat to the normalised x+residual and y to xhat∘gamma, and returns the inverse root of the mean square. Without a residual its address is nil.")
	const s, rstd = neonSums(20), 6
	a.clear(s)
	a.residualSum(func() { a.addProduct(s, 0, 0) })
	a.inverseDeviation(a.mean(s, "x"), rstd)
	p := a.start("y", "xhat", "gamma")
	a.each(p, func() {
		a.load(p[1], 0)
		a.load(p[2], 1)
		a.s4("fmul", 0, 0, rstd)
		a.store(0, p[1])
		a.s4("fmul", 0, 0, 1)
		a.store(0, p[0])
	})
	a.end()
}

// normGradient makes gx = rstd·(g - mean(g) - xhat·mean(g∘xhat)) with g = gy∘gamma; only a centered norm subtracts the
// mean of g.
func (a *neon) normGradient(name string, centered bool) {
	a.begin(name, "(gx, gy, xhat, gamma []float32, rstd float32)", "sets gx to the gradient of the input of "+name[:len(name)-len("Gradient")]+".")
	const sum, product, mean, along, rstd = neonSums(20), neonSums(22), 5, 6, 7
	a.clear(sum)
	a.clear(product)
	p := a.start("gx", "gy", "xhat", "gamma")
	a.each(p, func() {
		a.weighted(p)
		if centered {
			a.addTo(sum, 0)
		}
		a.addProduct(product, 0, 2)
	})
	a.narrow(a.mean(product, "gx"), along)
	if centered {
		a.narrow(a.mean(sum, "gx"), mean)
	}
	a.broadcast("rstd", rstd)
	a.start("gx", "gy", "xhat", "gamma")
	a.each(p, func() {
		a.weighted(p)
		if centered {
			a.s4("fsub", 0, 0, mean)
		}
		a.s4("fmls", 0, 2, along)
		a.s4("fmul", 0, 0, rstd)
		a.store(0, p[0])
	})
	a.end()
}

// weighted loads gy∘gamma to register 0 and xhat to 2.
func (a *neon) weighted(p []string) {
	a.load(p[1], 0)
	a.load(p[3], 1)
	a.s4("fmul", 0, 0, 1)
	a.load(p[2], 2)
}
