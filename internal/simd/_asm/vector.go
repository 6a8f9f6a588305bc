package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector is an instruction set: its registers, and the shape of its matrix kernel.
type vector struct {
	name  string // in function names
	width int    // float32 values in a register
	rows  int    // most rows of the matrix kernel
	regs  []reg.VecPhysical
}

// The matrix kernels keep rows×2 registers of sums, two of the right-hand side and two of the
// left: 14×2+4 of 32, and 6×2+4 of 16.
var (
	avx512 = vector{"AVX512", 16, 14, []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10,
		reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21,
		reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}}
	avx2 = vector{"AVX2", 8, 6, []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}}
)

// amx has registers of its own.
var amx = vector{name: "AMX"}

func (v vector) bytes() int { return 4 * v.width }

// wide tells AVX-512 from AVX2.
func (v vector) wide() bool { return v.width == 16 }

// assembler is a generator of functions for one instruction set.
type assembler struct {
	*build.Context
	vector
	constants map[uint32]operand.Mem     // shared by all functions of the file
	held      map[uint32]reg.VecPhysical // the constants that the function has in registers
	function  string
	labels    int
	// partial is true while the code of the last, partial vector of a loop is made: loads and
	// stores then touch its first lanes only, and other lanes load as 0.
	partial bool
}

// begin begins a function and says what it does.
func (a *assembler) begin(name, signature, doc string) {
	a.function = name + a.name
	a.labels = 0
	a.held = map[uint32]reg.VecPhysical{}
	a.Function(a.function)
	a.Attributes(attr.NOSPLIT)
	a.SignatureExpr("func" + signature)
	a.Pragma("noescape")
	a.Doc(a.function + " " + doc)
}

func (a *assembler) end() {
	a.VZEROUPPER()
	a.RET()
}

// label returns a label that is new in the file.
func (a *assembler) label(what string) string {
	a.labels++
	return fmt.Sprintf("%s%s%d", a.function, what, a.labels)
}

// constant is a vector of equal float32, in memory unless it is held in a register.
func (a *assembler) constant(value float64) operand.Op {
	word := math.Float32bits(float32(value))
	if r, ok := a.held[word]; ok {
		return r
	}
	return a.bits(word)
}

// constantIn is a vector of equal float32 in a register: t unless it is held.
func (a *assembler) constantIn(t reg.VecPhysical, value float64) reg.VecPhysical {
	if r, ok := a.constant(value).(reg.VecPhysical); ok {
		return r
	}
	a.VMOVUPS(a.constant(value), t)
	return t
}

// hold loads constants to the last registers, for the rest of the function. AVX2 has none to spare.
func (a *assembler) hold(values ...float64) {
	if !a.wide() {
		return
	}
	for i, v := range values {
		r := a.regs[len(a.regs)-1-i]
		a.VMOVUPS(a.constant(v), r)
		a.held[math.Float32bits(float32(v))] = r
	}
}

// bits is a vector of equal words in memory.
func (a *assembler) bits(word uint32) operand.Mem {
	if m, ok := a.constants[word]; ok {
		return m
	}
	m := a.StaticGlobal(fmt.Sprintf("constant%08x", word))
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for range 8 {
		a.AppendDatum(operand.U64(uint64(word)<<32 | uint64(word)))
	}
	a.constants[word] = m
	return m
}

// lanes is a table from which the mask of a partial vector of AVX2 is loaded.
func (a *assembler) lanes() operand.Mem {
	const key = 0xffff_fffe // no constant has these bits
	if m, ok := a.constants[key]; ok {
		return m
	}
	m := a.StaticGlobal("lanes")
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for range 4 {
		a.AppendDatum(operand.U64(math.MaxUint64))
	}
	for range 4 {
		a.AppendDatum(operand.U64(0))
	}
	a.constants[key] = m
	return m
}

func (a *assembler) zero(r reg.VecPhysical) {
	if a.wide() {
		a.VPXORD(r, r, r)
		return
	}
	a.VXORPS(r, r, r)
}

// laneMask is where AVX2 keeps the lanes of a partial vector. AVX-512 uses K1.
func (a *assembler) laneMask() reg.VecPhysical { return a.regs[15] }

// makeMask sets the mask to the first RCX lanes, of which there are fewer than width. RAX and RBX are lost.
func (a *assembler) makeMask() {
	if a.wide() {
		a.MOVL(operand.U32(1), reg.EBX)
		a.SHLL(reg.CL, reg.EBX)
		a.DECL(reg.EBX)
		a.KMOVW(reg.EBX, reg.K1)
		return
	}
	a.LEAQ(a.lanes(), reg.RAX)
	a.MOVQ(reg.RCX, reg.RBX)
	a.NEGQ(reg.RBX)
	a.VMOVDQU(operand.Mem{Base: reg.RAX, Index: reg.RBX, Scale: 4, Disp: 32}, a.laneMask())
}

func (a *assembler) load(from reg.GPPhysical, r reg.VecPhysical) {
	m := operand.Mem{Base: from}
	switch {
	case !a.partial:
		a.VMOVUPS(m, r)
	case a.wide():
		a.VMOVUPS_Z(m, reg.K1, r)
	default:
		a.VMASKMOVPS(m, a.laneMask(), r)
	}
}

func (a *assembler) store(r reg.VecPhysical, to reg.GPPhysical) {
	m := operand.Mem{Base: to}
	switch {
	case !a.partial:
		a.VMOVUPS(r, m)
	case a.wide():
		a.VMOVUPS(r, reg.K1, m)
	default:
		a.VMASKMOVPS(r, a.laneMask(), m)
	}
}

// keep makes the lanes of r beyond a partial vector 0.
func (a *assembler) keep(r reg.VecPhysical) {
	switch {
	case !a.partial:
	case a.wide():
		a.VMOVAPS_Z(r, reg.K1, r)
	default:
		a.VANDPS(a.laneMask(), r, r)
	}
}

// fill makes the lanes of r beyond a partial vector those of other.
func (a *assembler) fill(r, other reg.VecPhysical) {
	switch {
	case !a.partial:
	case a.wide():
		a.VBLENDMPS(r, other, reg.K1, r)
	default:
		a.VBLENDVPS(a.laneMask(), r, other, r)
	}
}

// each runs body for all of RCX values, whole vectors first, then what is left; the pointers
// move on. RAX and RBX are lost.
func (a *assembler) each(pointers []reg.GPPhysical, body func()) {
	loop, rest, done := a.label("loop"), a.label("rest"), a.label("done")
	a.Label(loop)
	a.CMPQ(reg.RCX, operand.Imm(uint64(a.width)))
	a.JL(operand.LabelRef(rest))
	body()
	for _, p := range pointers {
		a.ADDQ(operand.Imm(uint64(a.bytes())), p)
	}
	a.SUBQ(operand.Imm(uint64(a.width)), reg.RCX)
	a.JMP(operand.LabelRef(loop))
	a.Label(rest)
	a.TESTQ(reg.RCX, reg.RCX)
	a.JZ(operand.LabelRef(done))
	a.makeMask()
	a.partial = true
	body()
	a.partial = false
	a.Label(done)
}

// round rounds to the nearest integer, ties to even.
func (a *assembler) round(x, y reg.VecPhysical) {
	if a.wide() {
		a.VRNDSCALEPS(operand.Imm(8), x, y)
		return
	}
	a.VROUNDPS(operand.Imm(8), x, y)
}

// Comparisons, as the instructions number them.
const (
	less        = 1 // false with NaN
	unordered   = 3 // true with NaN only
	notLessSame = 6 // not ≤: true with NaN
)

// keepWhere makes r 0 where not x op y. t is lost.
func (a *assembler) keepWhere(op int, x, y, r, t reg.VecPhysical) {
	if a.wide() {
		a.VCMPPS(operand.Imm(uint64(op)), y, x, reg.K2)
		a.VMOVAPS_Z(r, reg.K2, r)
		return
	}
	a.VCMPPS(operand.Imm(uint64(op)), y, x, t)
	a.VANDPS(t, r, r)
}

// replaceWhere makes r other where x op y. t is lost.
func (a *assembler) replaceWhere(op int, x, y, r, other, t reg.VecPhysical) {
	if a.wide() {
		a.VCMPPS(operand.Imm(uint64(op)), y, x, reg.K2)
		a.VMOVAPS(other, reg.K2, r)
		return
	}
	a.VCMPPS(operand.Imm(uint64(op)), y, x, t)
	a.VBLENDVPS(t, other, r, r)
}

// widen converts the halves of x to float64.
func (a *assembler) widen(x, low, high reg.VecPhysical) {
	if a.wide() {
		a.VEXTRACTF64X4(operand.Imm(1), x, high.AsY())
		a.VCVTPS2PD(x.AsY(), low)
		a.VCVTPS2PD(high.AsY(), high)
		return
	}
	a.VEXTRACTF128(operand.Imm(1), x, high.AsX())
	a.VCVTPS2PD(x.AsX(), low)
	a.VCVTPS2PD(high.AsX(), high)
}

// total adds the float64 lanes of x and y; the sum is in the lowest lane of x. t is lost.
func (a *assembler) total(x, y, t reg.VecPhysical) {
	a.VADDPD(y, x, x)
	if a.wide() {
		a.VEXTRACTF64X4(operand.Imm(1), x, t.AsY())
		a.VADDPD(t.AsY(), x.AsY(), x.AsY())
	}
	a.VEXTRACTF128(operand.Imm(1), x.AsY(), t.AsX())
	a.VADDPD(t.AsX(), x.AsX(), x.AsX())
	a.VHADDPD(x.AsX(), x.AsX(), x.AsX())
}

// fold reduces the lanes of x with op to one, in the lowest lane. t is lost.
func (a *assembler) fold(x, t reg.VecPhysical, op func(ops ...operand.Op)) {
	if a.wide() {
		a.VEXTRACTF64X4(operand.Imm(1), x, t.AsY())
		op(t.AsY(), x.AsY(), x.AsY())
	}
	a.VEXTRACTF128(operand.Imm(1), x.AsY(), t.AsX())
	op(t.AsX(), x.AsX(), x.AsX())
	a.VPERMILPS(operand.Imm(0b01_00_11_10), x.AsX(), t.AsX())
	op(t.AsX(), x.AsX(), x.AsX())
	a.VPERMILPS(operand.Imm(0b10_11_00_01), x.AsX(), t.AsX())
	op(t.AsX(), x.AsX(), x.AsX())
}
