package main

import (
	"math"

	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Registers of the functions on slices, in the order of their slices.
var slices = []reg.GPPhysical{reg.RDI, reg.RSI, reg.RDX, reg.R8, reg.R9, reg.R10}

// start loads the addresses of the named slices, and the length of the first to RCX. It returns the
// registers of the addresses.
func (a *assembler) start(names ...string) []reg.GPPhysical {
	a.Load(a.Param(names[0]).Len(), reg.RCX)
	for i, name := range names {
		a.Load(a.Param(name).Base(), slices[i])
	}
	return slices[:len(names)]
}

// broadcast loads a float32 parameter into all lanes of r.
func (a *assembler) broadcast(name string, r reg.VecPhysical) {
	a.VBROADCASTSS(a.address(a.Param(name)), r)
}

// address is where a parameter or a result is. avo's Load and Store would use the instructions of SSE.
func (a *assembler) address(c gotypes.Component) operand.Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// functions makes the functions that treat every element alone. Registers 0 to 14 are theirs.
func (a *assembler) functions() {
	r := a.regs
	a.simple("add", "adds x to y.", func() { a.VADDPS(r[1], r[0], r[0]) })
	a.simple("mul", "multiplies y by x.", func() { a.VMULPS(r[1], r[0], r[0]) })
	a.scalar("axpy", "(alpha float32, x, y []float32)", "adds alpha·x to y.", "alpha", "y", "x")
	a.scalar("scale", "(factor float32, y []float32)", "multiplies y by factor.", "factor", "y")

	a.unary("exp", "eˣ", func() { a.exp(r[0], r[1], r[2]) })
	a.unary("tanh", "tanh x", a.tanh)
	a.unary("relu", "the larger of x and 0", func() {
		a.zero(r[1])
		a.VMAXPS(r[0], r[1], r[0]) // with NaN in x the first operand, x, is the result
	})
	a.unary("silu", "x/(1+e⁻ˣ)", func() {
		a.sigmoid(r[0], r[4], r[1], r[2], r[3])
		a.VMULPS(r[4], r[0], r[0])
	})
	a.unary("gelu", "x·Φ(x)", func() {
		a.normal(r[0], r[4])
		a.VMULPS(r[4], r[0], r[0])
	})
	a.unary("geluTanh", "x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2", func() {
		a.geluTanhArgument()
		a.sigmoid(r[5], r[4], r[1], r[2], r[3])
		a.VMULPS(r[4], r[0], r[0])
	})

	a.gradient("reluGradient", "y", "y > 0 ? gy : 0, or gy where y is NaN", func() {
		a.zero(r[1])
		a.VMOVAPS(r[0], r[2])
		a.VMOVAPS(r[6], r[0])
		a.keepWhere(notLessSame, r[2], r[1], r[0], r[3])
	})
	a.gradient("tanhGradient", "y", "gy·(1-y²)", func() {
		a.VMOVUPS(a.constant(1), r[1])
		a.VFNMADD213PS(r[1], r[0], r[0])
		a.VMULPS(r[6], r[0], r[0])
	})
	a.gradient("siluGradient", "x", "gy times the derivative of x/(1+e⁻ˣ)", func() {
		a.sigmoid(r[0], r[4], r[1], r[2], r[3])
		a.VMOVUPS(a.constant(1), r[1])
		a.slope(r[0], r[4], r[3], r[1], r[2])
	})
	a.gradient("geluGradient", "x", "gy times the derivative of x·Φ(x)", func() {
		a.normal(r[0], r[4])
		a.VMULPS(r[0], r[0], r[1])
		a.VMULPS(a.constant(-0.5), r[1], r[1])
		a.exp(r[1], r[2], r[3])
		a.VMULPS(a.constant(1/math.Sqrt(2*math.Pi)), r[1], r[1]) // the density φ
		a.VFMADD213PS(r[4], r[1], r[0])
		a.VMULPS(r[6], r[0], r[0])
	})
	a.gradient("geluTanhGradient", "x", "gy times the derivative of geluTanh", func() {
		a.geluTanhArgument()
		a.VMOVAPS(r[7], r[8])
		a.sigmoid(r[5], r[4], r[1], r[2], r[3])
		// the argument x·(c+d·x²) grows by c+3·d·x²
		a.VMOVUPS(a.constant(geluTanhLinear), r[1])
		a.VMULPS(a.constant(3*geluTanhCubic), r[8], r[8])
		a.VADDPS(r[1], r[8], r[1])
		a.slope(r[0], r[4], r[3], r[1], r[2])
	})
	a.adamW()
}

// slope sets r[0] to gy (r[6]) times the derivative s + x·s·(1-s)·growth of x·s, where s = 1/(1+e) is the sigmoid of a
// function of x that grows by growth. 1-s is e·s, which loses nothing where s is nearly 1. e and t are lost.
func (a *assembler) slope(x, s, e, growth, t reg.VecPhysical) {
	a.VMOVUPS(a.constant(math.MaxFloat32), t)
	a.VMINPS(e, t, e) // where e is infinite s is 0; with NaN in e the first operand, e, is the result
	a.VMULPS(s, e, t)
	a.VMULPS(s, t, t)
	a.VMULPS(growth, t, t)
	a.VFMADD213PS(s, t, x)
	a.VMULPS(a.regs[6], x, a.regs[0])
}

// The sigmoid of x·(linear + cubic·x²) is (1+tanh(√(2/π)·(x+0.044715·x³)))/2.
var (
	geluTanhLinear = 2 * math.Sqrt(2/math.Pi)
	geluTanhCubic  = 2 * math.Sqrt(2/math.Pi) * 0.044715
)

// geluTanhArgument sets r[5] to x·(linear + cubic·x²), x being r[0], and r[7] to x².
func (a *assembler) geluTanhArgument() {
	r := a.regs
	a.VMULPS(r[0], r[0], r[7])
	a.VMOVUPS(a.constant(geluTanhCubic), r[5])
	a.VFMADD213PS(a.constant(geluTanhLinear), r[7], r[5])
	a.VMULPS(r[0], r[5], r[5])
}

// simple makes a function that changes y by x, which body has in registers 0 and 1.
func (a *assembler) simple(name, doc string, body func()) {
	a.begin(name, "(y, x []float32)", doc)
	p := a.start("y", "x")
	a.each(p, func() {
		a.load(p[0], a.regs[0])
		a.load(p[1], a.regs[1])
		body()
		a.store(a.regs[0], p[0])
	})
	a.end()
}

// scalar makes y += alpha·x, or y *= alpha without an x.
func (a *assembler) scalar(name, signature, doc, factor string, names ...string) {
	a.begin(name, signature, doc)
	p := a.start(names...)
	r := a.regs
	a.broadcast(factor, r[2])
	a.each(p, func() {
		a.load(p[0], r[0])
		if len(p) == 1 {
			a.VMULPS(r[2], r[0], r[0])
		} else {
			a.load(p[1], r[1])
			a.VFMADD231PS(r[1], r[2], r[0])
		}
		a.store(r[0], p[0])
	})
	a.end()
}

// unary makes y = f(x). body has x in register 0, and leaves y there.
func (a *assembler) unary(name, doc string, body func()) {
	a.begin(name, "(y, x []float32)", "sets y to "+doc+".")
	p := a.start("y", "x")
	a.each(p, func() {
		a.load(p[1], a.regs[0])
		body()
		a.store(a.regs[0], p[0])
	})
	a.end()
}

// gradient makes gx = gy·f'. body has gy in register 6 and the kept value in 0, and leaves gx there.
func (a *assembler) gradient(name, kept, doc string, body func()) {
	a.begin(name, "(gx, gy, "+kept+" []float32)", "sets gx to "+doc+".")
	p := a.start("gx", "gy", kept)
	a.each(p, func() {
		a.load(p[1], a.regs[6])
		a.load(p[2], a.regs[0])
		body()
		a.store(a.regs[0], p[0])
	})
	a.end()
}

// adamW makes one step of AdamW. No product is fused with a sum, so that all implementations give the same bits.
func (a *assembler) adamW() {
	a.begin("adamW", "(p, g, m, v []float32, numbers *[7]float32)", "does one step of AdamW, see AdamW.")
	pointers := a.start("p", "g", "m", "v")
	a.Load(a.Param("numbers"), reg.RBX)
	r := a.regs
	decay, beta2, weight1, weight2, size, root, eps := r[4], r[5], r[6], r[7], r[8], r[9], r[10]
	for i, x := range []reg.VecPhysical{decay, beta2, weight1, weight2, size, root, eps} {
		a.VBROADCASTSS(operand.Mem{Base: reg.RBX, Disp: 4 * i}, x)
	}
	a.each(pointers, func() {
		p, g, m, v := r[0], r[1], r[2], r[3]
		for i, x := range []reg.VecPhysical{p, g, m, v} {
			a.load(pointers[i], x)
		}
		a.VSUBPS(m, g, r[11])
		a.VMULPS(weight1, r[11], r[11])
		a.VADDPS(r[11], m, m)
		a.store(m, pointers[2])
		a.VMULPS(beta2, v, v)
		a.VMULPS(g, g, g)
		a.VMULPS(weight2, g, g)
		a.VADDPS(g, v, v)
		a.store(v, pointers[3])
		a.VSQRTPS(v, v)
		a.VDIVPS(root, v, v)
		a.VADDPS(eps, v, v)
		a.VMULPS(size, m, m)
		a.VDIVPS(v, m, m)
		a.VMULPS(decay, p, p)
		a.VSUBPS(m, p, p)
		a.store(p, pointers[0])
	})
	a.end()
}
