package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The constants of SplitMix64: of its counter, and of its output function.
const (
	weyl   = 0x9e3779b97f4a7c15
	first  = 0xbf58476d1ce4e5b9
	second = 0x94d049bb133111eb
)

// Rows of the table of the dropout kernels, of eight double words of 64 bits each.
const (
	lanesRow   = 64 * iota // 0, 1, … times weyl
	fourRow                // 4·weyl
	eightRow               // 8·weyl
	sixteenRow             // 16·weyl
	firstRow
	firstHighRow // the upper half of first
	secondRow
	secondHighRow
)

// dropout makes the function that drops elements by a counter's hash.
func (a *assembler) dropout(table operand.Mem) {
	a.begin("dropout", "(y, x []float32, counter, threshold uint64, scale float32)",
		"sets y to x·scale, or to 0 where the upper half of the hash of counter + i·weyl is below threshold.")
	p := a.start("y", "x")
	r := a.regs
	row := func(at int) operand.Mem {
		m := table
		m.Disp += at
		return m
	}
	low, high, threshold, scale, step := r[10], r[11], r[12], r[13], r[14]
	half, whole := fourRow, eightRow
	if a.wide() {
		half, whole = eightRow, sixteenRow
	}
	a.VPBROADCASTQ(a.address(a.Param("counter")), low)
	a.VPADDQ(row(lanesRow), low, low)
	a.VPADDQ(row(half), low, high)
	a.VPBROADCASTQ(a.address(a.Param("threshold")), threshold)
	a.broadcast("scale", scale)
	a.VMOVUPS(row(whole), step)
	a.each(p, func() {
		a.mix(row, low, r[0], r[2], r[3])
		a.mix(row, high, r[1], r[2], r[3])
		a.VPADDQ(step, low, low)
		a.VPADDQ(step, high, high)
		a.load(p[1], r[4])
		a.VMULPS(scale, r[4], r[4])
		a.keepHashed(threshold, r[0], r[1], r[4])
		a.store(r[4], p[0])
	})
	a.end()
}

// mix sets h to the upper half of SplitMix64's output for the counters. t and u are lost.
func (a *assembler) mix(row func(int) operand.Mem, counter, h, t, u reg.VecPhysical) {
	shift := func(bits uint64, x reg.VecPhysical) {
		a.VPSRLQ(operand.Imm(bits), x, t)
		a.xor(t, x, h)
	}
	shift(30, counter)
	a.multiply64(row(firstRow), row(firstHighRow), h, t, u)
	shift(27, h)
	a.multiply64(row(secondRow), row(secondHighRow), h, t, u)
	shift(31, h)
	a.VPSRLQ(operand.Imm(32), h, h)
}

// multiply64 multiplies x by a constant, of which high holds the upper half. t and u are lost.
func (a *assembler) multiply64(constant, high operand.Mem, x, t, u reg.VecPhysical) {
	if a.wide() {
		a.VPMULLQ(constant, x, x)
		return
	}
	a.VPSRLQ(operand.Imm(32), x, t)
	a.VPMULUDQ(constant, t, t)
	a.VPMULUDQ(high, x, u)
	a.VPADDQ(u, t, t)
	a.VPSLLQ(operand.Imm(32), t, t)
	a.VPMULUDQ(constant, x, x)
	a.VPADDQ(t, x, x)
}

func (a *assembler) xor(x, y, z reg.VecPhysical) {
	if a.wide() {
		a.VPXORQ(x, y, z)
		return
	}
	a.VPXOR(x, y, z)
}

// keepHashed makes x 0 where the hashes, those of its lower half in low, are below threshold. low and high are lost.
func (a *assembler) keepHashed(threshold, low, high, x reg.VecPhysical) {
	if a.wide() {
		const notLess = 5
		a.VPCMPUQ(operand.Imm(notLess), threshold, low, reg.K2)
		a.VPCMPUQ(operand.Imm(notLess), threshold, high, reg.K3)
		a.KUNPCKBW(reg.K2, reg.K3, reg.K2)
		a.VMOVAPS_Z(x, reg.K2, x)
		return
	}
	a.VPCMPGTQ(low, threshold, low)
	a.VPCMPGTQ(high, threshold, high)
	a.VSHUFPS(operand.Imm(0b10_00_10_00), high, low, low)
	a.VPERMQ(operand.Imm(0b11_01_10_00), low, low)
	a.VANDNPS(x, low, x)
}

// dropoutTable is in memory what the dropout kernels of both instruction sets read.
func dropoutTable(c *build.Context) operand.Mem {
	table := c.StaticGlobal("splitmix")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range uint64(8) {
		c.AppendDatum(operand.U64(i * weyl))
	}
	rows := []uint64{weyl, weyl, weyl, first, first >> 32, second, second >> 32}
	rows[0], rows[1], rows[2] = rows[0]<<2, rows[1]<<3, rows[2]<<4
	for _, word := range rows {
		for range 8 {
			c.AppendDatum(operand.U64(word))
		}
	}
	return table
}
