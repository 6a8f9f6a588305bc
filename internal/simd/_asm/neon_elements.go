package main

import "math"

// functions makes the functions that treat every element alone, as those of amd64 do. A body has its argument in register
// 0 and leaves the result there.
func (a *neon) functions() {
	a.simple("add", "adds x to y.", func() { a.s4("fadd", 0, 0, 1) })
	a.simple("mul", "multiplies y by x.", func() { a.s4("fmul", 0, 0, 1) })
	a.scalar("axpy", "(alpha float32, x, y []float32)", "adds alpha·x to y.", "alpha", "y", "x")
	a.scalar("scale", "(factor float32, y []float32)", "multiplies y by factor.", "factor", "y")
	a.activations()
	a.gradients()
	a.adamW()
}

func (a *neon) activations() {
	a.unary("exp", "eˣ", func() { a.exp(0, 1, 2, 3) })
	a.unary("tanh", "tanh x", a.tanh)
	a.unary("relu", "the larger of x and 0", func() {
		a.zero(1)
		a.s4("fmax", 0, 0, 1)
	})
	a.unary("silu", "x/(1+e⁻ˣ)", func() {
		a.sigmoid(0, 5, 1, 2, 3, 4)
		a.s4("fmul", 0, 0, 5)
	})
	a.unary("gelu", "x·Φ(x)", func() {
		a.normal(0, 4)
		a.s4("fmul", 0, 0, 4)
	})
	a.unary("geluTanh", "x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2", func() {
		a.geluTanhArgument()
		a.sigmoid(8, 5, 1, 2, 3, 4)
		a.s4("fmul", 0, 0, 5)
	})
}

// gradients: gy is in register 6.
func (a *neon) gradients() {
	a.gradient("reluGradient", "y", "y > 0 ? gy : 0, or gy where y is NaN", func() {
		a.zero(1)
		a.s4("fcmge", 1, 1, 0) // not with NaN
		a.b16("bic", 0, 6, 1)
	})
	a.gradient("tanhGradient", "y", "gy·(1-y²)", func() {
		a.constant(1, 1)
		a.s4("fmls", 1, 0, 0)
		a.s4("fmul", 0, 1, 6)
	})
	a.gradient("siluGradient", "x", "gy times the derivative of x/(1+e⁻ˣ)", func() {
		a.sigmoid(0, 5, 1, 2, 3, 4)
		a.constant(1, 1)
		a.slope(0, 5, 4, 1, 2)
	})
	a.gradient("geluGradient", "x", "gy times the derivative of x·Φ(x)", func() {
		a.normal(0, 4)
		a.s4("fmul", 1, 0, 0)
		a.constant(-0.5, 2)
		a.s4("fmul", 1, 1, 2)
		a.exp(1, 2, 3, 5)
		a.constant(1/math.Sqrt(2*math.Pi), 2)
		a.s4("fmul", 1, 1, 2) // the density φ
		a.s4("fmla", 4, 0, 1)
		a.s4("fmul", 0, 4, 6)
	})
	a.gradient("geluTanhGradient", "x", "gy times the derivative of geluTanh", func() {
		a.geluTanhArgument()
		a.sigmoid(8, 5, 1, 2, 3, 4)
		// the argument x·(c+d·x²) grows by c+3·d·x²
		a.constant(geluTanhLinear, 1)
		a.constant(3*geluTanhCubic, 2)
		a.s4("fmla", 1, 7, 2)
		a.slope(0, 5, 4, 1, 2)
	})
}

// slope sets register 0 to gy times the derivative of x·s, as assembler.slope does. e and t are lost.
func (a *neon) slope(x, s, e, growth, t int) {
	a.constant(math.MaxFloat32, t)
	a.s4("fmin", e, e, t) // where e is infinite s is 0; NaN stays
	a.s4("fmul", t, e, s)
	a.s4("fmul", t, t, s)
	a.s4("fmul", t, t, growth)
	a.move(s, e)
	a.s4("fmla", e, x, t)
	a.s4("fmul", 0, e, 6)
}

// geluTanhArgument sets register 8 to x·(linear + cubic·x²), x being in 0, and 7 to x². 1 is lost.
func (a *neon) geluTanhArgument() {
	a.s4("fmul", 7, 0, 0)
	a.constant(geluTanhCubic, 1)
	a.constant(geluTanhLinear, 8)
	a.s4("fmla", 8, 7, 1)
	a.s4("fmul", 8, 8, 0)
}

// simple makes a function that changes y by x, which body has in registers 0 and 1.
func (a *neon) simple(name, doc string, body func()) {
	a.begin(name, "(y, x []float32)", doc)
	p := a.start("y", "x")
	a.each(p, func() {
		a.load(p[0], 0)
		a.load(p[1], 1)
		body()
		a.store(0, p[0])
	})
	a.end()
}

// scalar makes y += alpha·x, or y *= alpha without an x.
func (a *neon) scalar(name, signature, doc, factor string, names ...string) {
	a.begin(name, signature, doc)
	p := a.start(names...)
	a.broadcast(factor, 2)
	a.each(p, func() {
		a.load(p[0], 0)
		if len(p) == 1 {
			a.s4("fmul", 0, 0, 2)
		} else {
			a.load(p[1], 1)
			a.s4("fmla", 0, 1, 2)
		}
		a.store(0, p[0])
	})
	a.end()
}

// unary makes y = f(x).
func (a *neon) unary(name, doc string, body func()) {
	a.begin(name, "(y, x []float32)", "sets y to "+doc+".")
	p := a.start("y", "x")
	a.each(p, func() {
		a.load(p[1], 0)
		body()
		a.store(0, p[0])
	})
	a.end()
}

// gradient makes gx = gy·f'. body has gy in register 6 and the kept value in 0.
func (a *neon) gradient(name, kept, doc string, body func()) {
	a.begin(name, "(gx, gy, "+kept+" []float32)", "sets gx to "+doc+".")
	p := a.start("gx", "gy", kept)
	a.each(p, func() {
		a.load(p[1], 6)
		a.load(p[2], 0)
		body()
		a.store(0, p[0])
	})
	a.end()
}

// adamW makes one step of AdamW. No product is fused with a sum, so that all implementations give the same bits.
func (a *neon) adamW() {
	a.begin("adamW", "(p, g, m, v []float32, numbers *[7]float32)", "does one step of AdamW, see AdamW.")
	pointers := a.start("p", "g", "m", "v")
	const numbers = "R7"
	a.parameter("numbers", numbers)
	const p, g, m, v, decay, beta2, weight1, weight2, size, root, eps, t = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	for i := decay; i <= eps; i++ {
		a.emit("VLD1R.P", memory(4, numbers), list("S4", i))
	}
	a.each(pointers, func() {
		for i, x := range []int{p, g, m, v} {
			a.load(pointers[i], x)
		}
		a.s4("fsub", t, g, m)
		a.s4("fmul", t, t, weight1)
		a.s4("fadd", m, m, t)
		a.store(m, pointers[2])
		a.s4("fmul", g, g, g)
		a.s4("fmul", g, g, weight2)
		a.s4("fmul", v, v, beta2)
		a.s4("fadd", v, v, g)
		a.store(v, pointers[3])
		a.s4("fsqrt", t, v)
		a.s4("fdiv", t, t, root)
		a.s4("fadd", t, t, eps)
		a.s4("fmul", m, m, size)
		a.s4("fdiv", m, m, t)
		a.s4("fmul", p, p, decay)
		a.s4("fsub", p, p, m)
		a.store(p, pointers[0])
	})
	a.end()
}
