package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Sums are taken in float64, in two registers, which are their accumulators.
type accumulator struct{ low, high reg.VecPhysical }

// rowFunctions makes the functions that reduce a row, and those that normalise it.
func (a *assembler) rowFunctions() {
	r := a.regs
	a.reduction("sum", "x []float32", "the sum of x", func([]reg.GPPhysical) {
		a.widen(r[0], r[3], r[4])
	}, "x")
	a.reduction("dot", "x, y []float32", "Σ x·y", func(p []reg.GPPhysical) {
		a.load(p[1], r[1])
		a.widenedProduct(r[0], r[1], r[3], r[4], r[5], r[6])
	}, "x", "y")
	a.maxAbs()
	a.softmax()
	a.softmaxGradient()
	a.layerNorm()
	a.layerNormGradient()
	a.rmsNorm()
	a.rmsNormGradient()
}

// widenedProduct sets low and high to the halves of x·y in float64; t and u are lost.
func (a *assembler) widenedProduct(x, y, low, high, t, u reg.VecPhysical) {
	a.widen(x, low, high)
	a.widen(y, t, u)
	a.VMULPD(t, low, low)
	a.VMULPD(u, high, high)
}

func (a *assembler) clear(s accumulator) {
	a.zero(s.low)
	a.zero(s.high)
}

// addTo adds the halves of a vector.
func (a *assembler) addTo(s accumulator, low, high reg.VecPhysical) {
	a.VADDPD(low, s.low, s.low)
	a.VADDPD(high, s.high, s.high)
}

// reduction makes a sum of terms, which body makes in registers 3 and 4 of a vector of the first slice in register 0.
func (a *assembler) reduction(name, parameters, doc string, body func(p []reg.GPPhysical), names ...string) {
	a.begin(name, "("+parameters+") float64", "returns "+doc+".")
	p := a.start(names...)
	r := a.regs
	s := accumulator{r[8], r[9]}
	a.clear(s)
	a.each(p, func() {
		a.load(p[0], r[0])
		body(p)
		a.addTo(s, r[3], r[4])
	})
	a.total(s.low, s.high, r[0])
	a.VMOVSD(s.low.AsX(), a.address(a.ReturnIndex(0)))
	a.end()
}

// maxAbs compares the bits: those of a NaN are more than those of an infinity.
func (a *assembler) maxAbs() {
	a.begin("maxAbs", "(x []float32) float32", "returns the largest magnitude in x, NaN if x has one.")
	p := a.start("x")
	r := a.regs
	a.zero(r[1])
	a.each(p, func() {
		a.load(p[0], r[0])
		a.and(a.bits(0x7fff_ffff), r[0], r[0])
		a.VPMAXUD(r[0], r[1], r[1])
	})
	a.fold(r[1], r[0], a.VPMAXUD)
	a.VMOVSS(r[1].AsX(), a.address(a.ReturnIndex(0)))
	a.end()
}

// inverse sets y to 1/x in all lanes, for the float64 x in the lowest lane. t is lost.
func (a *assembler) inverse(x, y, t reg.VecPhysical) {
	a.one(t)
	a.VDIVSD(x.AsX(), t.AsX(), t.AsX())
	a.narrow(t, y)
}

// one sets the lowest lane to 1 in float64.
func (a *assembler) one(t reg.VecPhysical) {
	a.MOVQ(operand.U64(math.Float64bits(1)), reg.RAX)
	a.VMOVQ(reg.RAX, t.AsX())
}

// narrow sets all lanes of y to the float64 in the lowest lane of x.
func (a *assembler) narrow(x, y reg.VecPhysical) {
	a.VCVTSD2SS(x.AsX(), x.AsX(), y.AsX())
	a.VBROADCASTSS(y.AsX(), y)
}

// softmax: x = exp(scale·x-top), in two passes: the largest, top; the exponentials and their sum. The largest passes over NaN,
// which comes back in the sum. Sums of lanes are float32, as in the product of probabilities and values, which sums as many
// terms in a single lane.
func (a *assembler) softmax() {
	a.begin("softmax", "(x []float32, scale float32) (top, inverse float32)",
		"replaces x by exp(scale·x-top), where top is the largest scale·x, and returns top and the inverse of the sum.")
	r := a.regs
	a.holdExp()
	a.broadcast("scale", r[6])
	a.VMOVUPS(a.constant(-math.MaxFloat32), r[5]) // not -Inf, which leaves NaN of a row of -Inf
	a.VMOVAPS(r[5], r[7])
	p := a.start("x")
	a.each(p, func() {
		a.load(p[0], r[0])
		a.VMULPS(r[6], r[0], r[0])
		a.fill(r[0], r[5])
		a.VMAXPS(r[7], r[0], r[7]) // with NaN the first operand, the largest so far, is the result
	})
	a.fold(r[7], r[0], a.VMAXPS)
	a.VMOVSS(r[7].AsX(), a.address(a.ReturnIndex(0)))
	a.VBROADCASTSS(r[7].AsX(), r[7])

	sum := r[8]
	a.zero(sum)
	a.start("x")
	a.each(p, func() {
		a.load(p[0], r[0])
		a.VFMSUB213PS(r[7], r[6], r[0])
		a.expBelow(r[0], r[1], r[2])
		a.keep(r[0])
		a.store(r[0], p[0])
		a.VADDPS(r[0], sum, sum)
	})
	a.widen(sum, r[3], r[4])
	a.total(r[3], r[4], r[0])
	a.inverse(r[3], r[5], r[0])
	a.VMOVSS(r[5].AsX(), a.address(a.ReturnIndex(1)))
	a.end()
}

// softmaxGradient: p = inverse·exp(scale·p-top), d = scale·p∘(d-inner).
func (a *assembler) softmaxGradient() {
	a.begin("softmaxGradient", "(p, d []float32, scale, top, inverse, inner float32)",
		"replaces p by inverse·exp(scale·p-top), and d by scale·p∘(d-inner).")
	r := a.regs
	a.holdExp()
	a.broadcast("scale", r[6])
	a.broadcast("top", r[7])
	a.broadcast("inverse", r[8])
	a.broadcast("inner", r[9])
	p := a.start("p", "d")
	a.each(p, func() {
		a.load(p[0], r[0])
		a.VFMSUB213PS(r[7], r[6], r[0])
		a.expBelow(r[0], r[1], r[2])
		a.VMULPS(r[8], r[0], r[0])
		a.store(r[0], p[0])
		a.load(p[1], r[1])
		a.VSUBPS(r[9], r[1], r[1])
		a.VMULPS(r[0], r[1], r[1])
		a.VMULPS(r[6], r[1], r[1])
		a.store(r[1], p[1])
	})
	a.end()
}

// mean divides the float64 in the lowest lane of x by the length of the slice. t is lost.
func (a *assembler) mean(x, t reg.VecPhysical, slice string) {
	a.Load(a.Param(slice).Len(), reg.RAX)
	a.VXORPD(t.AsX(), t.AsX(), t.AsX())
	a.VCVTSI2SDQ(reg.RAX, t.AsX(), t.AsX())
	a.VDIVSD(t.AsX(), x.AsX(), x.AsX())
}

// inverseDeviation sets y to 1/√(x+eps), x being the float64 in its lowest lane, and returns it from the function. t and u are lost.
func (a *assembler) inverseDeviation(x, y, t, u reg.VecPhysical) {
	a.VXORPD(t.AsX(), t.AsX(), t.AsX())
	a.VCVTSS2SD(a.address(a.Param("eps")), t.AsX(), t.AsX())
	a.VADDSD(t.AsX(), x.AsX(), x.AsX())
	a.VSQRTSD(x.AsX(), x.AsX(), x.AsX())
	a.inverse(x, y, u)
	a.VMOVSS(y.AsX(), a.address(a.ReturnIndex(0)))
}

// residualSum writes x, plus the residual if there is one, to xhat, and calls body with it in r[0].
func (a *assembler) residualSum(body func()) {
	r := a.regs
	alone, done := a.label("alone"), a.label("summed")
	p := a.start("xhat", "x", "residual")
	a.TESTQ(p[2], p[2])
	a.JZ(operand.LabelRef(alone))
	a.each(p, func() {
		a.load(p[1], r[0])
		a.load(p[2], r[1])
		a.VADDPS(r[1], r[0], r[0])
		a.store(r[0], p[0])
		body()
	})
	a.JMP(operand.LabelRef(done))
	a.Label(alone)
	a.each(p[:2], func() {
		a.load(p[1], r[0])
		a.store(r[0], p[0])
		body()
	})
	a.Label(done)
}

// layerNorm: xhat = (x+residual-mean)/√(variance+eps), y = xhat∘gamma + beta.
func (a *assembler) layerNorm() {
	a.begin("layerNorm", "(y, xhat, x, residual, gamma, beta []float32, eps float32) float32",
		"sets xhat to the normalised x+residual and y to xhat∘gamma+beta, and returns the inverse deviation. Without a residual its address is nil.")
	r := a.regs
	s := accumulator{r[8], r[9]}
	a.clear(s)
	a.residualSum(func() {
		a.widen(r[0], r[3], r[4])
		a.addTo(s, r[3], r[4])
	})
	a.total(s.low, s.high, r[0])
	a.mean(s.low, r[0], "x")
	a.narrow(s.low, r[7])

	a.clear(s)
	p := a.start("xhat")
	a.each(p, func() {
		a.load(p[0], r[0])
		a.VSUBPS(r[7], r[0], r[0])
		a.keep(r[0])
		a.widen(r[0], r[3], r[4])
		a.VMULPD(r[3], r[3], r[3])
		a.VMULPD(r[4], r[4], r[4])
		a.addTo(s, r[3], r[4])
	})
	a.total(s.low, s.high, r[0])
	a.mean(s.low, r[0], "x")
	a.inverseDeviation(s.low, r[6], r[0], r[1])

	p = a.start("y", "xhat", "gamma", "beta")
	a.each(p, func() {
		a.load(p[1], r[0])
		a.load(p[2], r[1])
		a.load(p[3], r[2])
		a.VSUBPS(r[7], r[0], r[0])
		a.VMULPS(r[6], r[0], r[0])
		a.store(r[0], p[1])
		a.VFMADD213PS(r[2], r[1], r[0])
		a.store(r[0], p[0])
	})
	a.end()
}

// layerNormGradient: with g = gy∘gamma, gx = rstd·(g - mean(g) - xhat·mean(g∘xhat)).
func (a *assembler) layerNormGradient() {
	a.begin("layerNormGradient", "(gx, gy, xhat, gamma []float32, rstd float32)", "sets gx to the gradient of the input of layerNorm.")
	a.normGradient(true)
}

// rmsNorm: xhat = (x+residual)/√(mean square+eps), y = xhat∘gamma.
func (a *assembler) rmsNorm() {
	a.begin("rmsNorm", "(y, xhat, x, residual, gamma []float32, eps float32) float32",
		"sets xhat to the normalised x+residual and y to xhat∘gamma, and returns the inverse root of the mean square. Without a residual its address is nil.")
	r := a.regs
	s := accumulator{r[8], r[9]}
	a.clear(s)
	a.residualSum(func() {
		a.widen(r[0], r[3], r[4])
		a.VMULPD(r[3], r[3], r[3])
		a.VMULPD(r[4], r[4], r[4])
		a.addTo(s, r[3], r[4])
	})
	a.total(s.low, s.high, r[0])
	a.mean(s.low, r[0], "x")
	a.inverseDeviation(s.low, r[6], r[0], r[1])
	p := a.start("y", "xhat", "gamma")
	a.each(p, func() {
		a.load(p[1], r[0])
		a.load(p[2], r[1])
		a.VMULPS(r[6], r[0], r[0])
		a.store(r[0], p[1])
		a.VMULPS(r[1], r[0], r[0])
		a.store(r[0], p[0])
	})
	a.end()
}

// rmsNormGradient: with g = gy∘gamma, gx = rstd·(g - xhat·mean(g∘xhat)).
func (a *assembler) rmsNormGradient() {
	a.begin("rmsNormGradient", "(gx, gy, xhat, gamma []float32, rstd float32)", "sets gx to the gradient of the input of rmsNorm.")
	a.normGradient(false)
}

// normGradient is the body of both norms' gradients; only a centered norm subtracts the mean of g.
func (a *assembler) normGradient(centered bool) {
	r := a.regs
	sum, product := accumulator{r[8], r[9]}, accumulator{r[10], r[11]}
	a.clear(sum)
	a.clear(product)
	p := a.start("gx", "gy", "xhat", "gamma")
	a.each(p, func() {
		a.load(p[1], r[0])
		a.load(p[3], r[1])
		a.VMULPS(r[1], r[0], r[0])
		a.load(p[2], r[2])
		a.widen(r[0], r[3], r[4])
		if centered {
			a.addTo(sum, r[3], r[4])
		}
		a.widen(r[2], r[5], r[6])
		a.VFMADD231PD(r[5], r[3], product.low)
		a.VFMADD231PD(r[6], r[4], product.high)
	})
	a.total(sum.low, sum.high, r[0])
	a.mean(sum.low, r[0], "gx")
	a.narrow(sum.low, r[5])
	a.total(product.low, product.high, r[0])
	a.mean(product.low, r[0], "gx")
	a.narrow(product.low, r[6])
	a.broadcast("rstd", r[7])
	a.start("gx", "gy", "xhat", "gamma")
	a.each(p, func() {
		a.load(p[1], r[0])
		a.load(p[3], r[1])
		a.VMULPS(r[1], r[0], r[0])
		if centered {
			a.VSUBPS(r[5], r[0], r[0])
		}
		a.load(p[2], r[2])
		a.VFNMADD231PS(r[6], r[2], r[0])
		a.VMULPS(r[7], r[0], r[0])
		a.store(r[0], p[0])
	})
	a.end()
}
