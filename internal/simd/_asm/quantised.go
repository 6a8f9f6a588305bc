package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantised is a block type of ggml: numbers of few bits that share scales. A weight is q·d, or q·d + m where it has a
// minimum, computed as ggml does it. All products of q and a scale are exact, so that to fuse them with a sum changes nothing.
type quantised struct {
	name            string
	elements, bytes int // of a block
	slots           int // vectors that prepare leaves for a block, for each half of a panel
	minimum         bool
	// prepare leaves the scales of a block, once for each half.
	prepare func(a *quantisedKernel, half int)
	chunks  []chunk
}

// chunk is 16 elements, which lie in 16 bytes.
type chunk struct {
	at    int // of the bytes
	slot  int // of the scale; the minimum is in the next
	shift int // where in a byte its bits begin
}

// quantisedTypes are the block types, as ggml-common.h lays them out.
var quantisedTypes = []quantised{
	{
		name: "Q8_0", elements: 32, bytes: 34, slots: 1,
		prepare: func(a *quantisedKernel, half int) { a.keepHalves(half, 0, 0) },
		chunks:  []chunk{{at: 2}, {at: 18}},
	},
	{
		name: "Q4_0", elements: 32, bytes: 18, slots: 1,
		prepare: func(a *quantisedKernel, half int) { a.keepHalves(half, 0, 0) },
		chunks:  []chunk{{at: 2}, {at: 2, shift: 4}},
	},
	{
		name: "Q4_1", elements: 32, bytes: 20, slots: 2, minimum: true,
		prepare: func(a *quantisedKernel, half int) { a.keepHalves(half, 0, 0); a.keepHalves(half, 2, 1) },
		chunks:  []chunk{{at: 4}, {at: 4, shift: 4}},
	},
}

// The general registers of a kernel.
var (
	quantBases     = []reg.GPPhysical{reg.RSI, reg.RDI, reg.R8, reg.R9} // of 8 rows each
	quantMultiples = map[int]reg.GPPhysical{1: reg.RAX, 3: reg.RBX, 5: reg.R10, 7: reg.R11}
)

var (
	quantCount    = reg.RCX // blocks to go
	quantOther    = reg.RDX // the left-hand side, or where weights go
	quantScratch  = reg.R12
	quantPrefetch = reg.R13
	quantSpare    = reg.R15
)

// quantisedKernel is a kernel in the making. Of its vector registers 8 are sums of up to 4 rows, 4 the quants of a chunk, 4 others.
type quantisedKernel struct {
	*assembler
	quantised
	rows                        int // of the left-hand side; 0: weights are stored
	quants                      []reg.VecPhysical
	scale, least, weight, spare reg.VecPhysical
}

// quantisedKernels makes for each block type a function that widens blocks, and those that multiply 1, 2 and 4 rows with them.
func (a *assembler) quantisedKernels() {
	for _, q := range quantisedTypes {
		for _, rows := range []int{0, 1, 2, 4} {
			r := a.regs
			k := &quantisedKernel{a, q, rows, r[8:12], r[12], r[13], r[14], r[15]}
			k.make()
		}
	}
}

func (a *quantisedKernel) name() string {
	name := a.quantised.name[:2] + a.quantised.name[3:]
	if a.rows == 0 {
		return "unpack" + name
	}
	return fmt.Sprintf("multiply%sx%d", name, a.rows)
}

// make makes a function. A row of blocks is a column of the panel, and a lane of the vectors: so a sum is taken in the order in
// which the kernels of packed matrices take it, and has the same bits.
func (a *quantisedKernel) make() {
	const blocks = "count blocks in each of %d rows, rowBytes apart"
	if a.rows == 0 {
		a.begin(a.name(), "(blocks *byte, rowBytes, count int, y, scratch *float32)",
			fmt.Sprintf("sets y to the transpose of "+blocks+".", 2*a.width))
	} else {
		a.begin(a.name(), "(blocks *byte, rowBytes, count int, x, y *float32, yStride int, start, scratch *float32)",
			fmt.Sprintf("multiplies %d rows with "+blocks+": y = start + Σ x·w. Element i of row r is x[%d·i+r]; yStride is in bytes.", a.rows, a.rows, 2*a.width))
	}
	a.pointers()
	for half := range 2 {
		for r := range a.rows {
			if r == 0 {
				a.Load(a.Param("start"), quantSpare)
				a.VMOVUPS(operand.Mem{Base: quantSpare, Disp: half * a.width * 4}, a.total(half, 0))
				continue
			}
			a.VMOVAPS(a.total(half, 0), a.total(half, r))
		}
	}
	block := a.label("block")
	a.Label(block)
	for half := range 2 {
		a.prepare(a, half)
	}
	a.prefetch()
	for i, c := range a.chunks {
		for half := range 2 {
			a.chunk(c, half, 16*i)
		}
	}
	a.advance()
	a.DECQ(quantCount)
	a.JNZ(operand.LabelRef(block))
	if a.rows > 0 {
		a.storeTotals()
	}
	a.end()
}

// bytes of a block; those of a vector are vectorBytes.
func (a *quantisedKernel) bytes() int       { return a.quantised.bytes }
func (a *quantisedKernel) vectorBytes() int { return a.assembler.bytes() }

// total is the register of the sums of row r in half of the panel.
func (a *quantisedKernel) total(half, r int) reg.VecPhysical { return a.regs[4*half+r] }

// bases are the registers of the panel's rows.
func (a *quantisedKernel) bases() []reg.GPPhysical { return quantBases[:2*a.width/8] }

func (a *quantisedKernel) pointers() {
	bases, m := a.bases(), quantMultiples
	a.Load(a.Param("rowBytes"), m[1])
	a.LEAQ(operand.Mem{Base: m[1], Index: m[1], Scale: 2}, m[3])
	a.LEAQ(operand.Mem{Base: m[1], Index: m[1], Scale: 4}, m[5])
	a.LEAQ(operand.Mem{Base: m[3], Index: m[1], Scale: 4}, m[7])
	a.Load(a.Param("blocks"), bases[0])
	for i, b := range append(bases[1:len(bases):len(bases)], quantPrefetch) {
		a.LEAQ(operand.Mem{Base: bases[i], Index: m[1], Scale: 8}, b)
	}
	a.Load(a.Param("count"), quantCount)
	a.Load(a.Param("scratch"), quantScratch)
	if a.rows == 0 {
		a.Load(a.Param("y"), quantOther)
	} else {
		a.Load(a.Param("x"), quantOther)
	}
}

// prefetch asks for as much of the next panel, which lies behind this one, as a block takes of this one.
func (a *quantisedKernel) prefetch() {
	bytes := 2 * a.width * a.bytes()
	for line := 0; line < bytes; line += 64 {
		a.PREFETCHT0(operand.Mem{Base: quantPrefetch, Disp: line})
	}
	a.move(quantPrefetch, bytes)
}

// advance moves on by a block.
func (a *quantisedKernel) advance() {
	for _, b := range a.bases() {
		a.move(b, a.bytes())
	}
	size := 4 * a.rows
	if a.rows == 0 {
		size = 2 * a.vectorBytes()
	}
	a.move(quantOther, 16*len(a.chunks)*size)
}

func (a *quantisedKernel) move(r reg.GPPhysical, bytes int) {
	a.LEAQ(operand.Mem{Base: r, Disp: bytes}, r)
}

// row addresses what is at bytes into the block of a row of half of the panel.
func (a *quantisedKernel) row(half, r, at int) operand.Mem {
	r += half * a.width
	m := operand.Mem{Base: quantBases[r/8], Disp: at}
	if r %= 8; r == 0 {
		return m
	}
	m.Scale = 1
	for r%2 == 0 {
		r, m.Scale = r/2, 2*m.Scale
	}
	m.Index = quantMultiples[r]
	return m
}

// slot addresses a vector in the scratch memory.
func (a *quantisedKernel) slot(half, slot int) operand.Mem {
	return operand.Mem{Base: quantScratch, Disp: (2*slot + half) * a.vectorBytes()}
}

// halves loads the float16 at bytes into the blocks of all rows, widened. weight and spare are lost.
func (a *quantisedKernel) halves(half, at int, to reg.VecPhysical) {
	words := []reg.VecPhysical{a.weight, a.spare}[:a.width/8]
	for i, w := range words {
		a.VPXOR(w.AsX(), w.AsX(), w.AsX())
		for r := range 8 {
			a.VPINSRW(operand.Imm(uint64(r)), a.row(half, 8*i+r, at), w.AsX(), w.AsX())
		}
	}
	if !a.wide() {
		a.VCVTPH2PS(words[0].AsX(), to)
		return
	}
	a.VINSERTI128(operand.Imm(1), words[1].AsX(), words[0].AsY(), words[0].AsY())
	a.VCVTPH2PS(words[0].AsY(), to)
}

func (a *quantisedKernel) keepHalves(half, at, slot int) {
	a.halves(half, at, a.scale)
	a.VMOVUPS(a.scale, a.slot(half, slot))
}

// load loads 16 bytes of every row and transposes them: quants[i] gets bytes 4i to 4i+3 of all rows. All others are lost.
func (a *quantisedKernel) load(half, at int) {
	q, t := a.quants, []reg.VecPhysical{a.scale, a.least, a.weight, a.spare}
	for i := range 4 {
		a.VMOVDQU(a.row(half, i, at), q[i].AsX())
		for lane := 1; lane < a.width/4; lane++ {
			if a.wide() {
				a.VINSERTI32X4(operand.Imm(uint64(lane)), a.row(half, i+4*lane, at), q[i], q[i])
			} else {
				a.VINSERTI128(operand.Imm(uint64(lane)), a.row(half, i+4*lane, at), q[i], q[i])
			}
		}
	}
	a.VPUNPCKLDQ(q[1], q[0], t[0])
	a.VPUNPCKHDQ(q[1], q[0], t[1])
	a.VPUNPCKLDQ(q[3], q[2], t[2])
	a.VPUNPCKHDQ(q[3], q[2], t[3])
	for i := range 2 {
		a.VPUNPCKLQDQ(t[2+i], t[i], q[2*i])
		a.VPUNPCKHQDQ(t[2+i], t[i], q[2*i+1])
	}
}

// field sets to to the float32 of the integer whose bits begin at low in x.
func (a *quantisedKernel) field(x reg.VecPhysical, low, bits int, signed bool, to reg.VecPhysical) {
	if above := 32 - low - bits; above > 0 {
		a.VPSLLD(operand.Imm(uint64(above)), x, to)
		x = to
	}
	if signed {
		a.VPSRAD(operand.Imm(uint64(32-bits)), x, to)
	} else {
		a.VPSRLD(operand.Imm(uint64(32-bits)), x, to)
	}
	a.VCVTDQ2PS(to, to)
}

// chunk treats a chunk of half of the panel, whose elements begin at index of the block.
func (a *quantisedKernel) chunk(c chunk, half, index int) {
	a.load(half, c.at)
	name := a.quantised.name
	var nibbles reg.VecPhysical
	switch {
	case name == "Q8_0":
	case a.wide():
		nibbles = a.regs[16]
		a.VMOVUPS(a.nibbles(name == "Q4_0"), nibbles)
	case name == "Q4_0": // q - 8 is the signed number of 4 bits of which this inverts the sign
		for _, q := range a.quants {
			a.VPXOR(a.bits(0x88888888), q, q)
		}
	}
	a.VMOVUPS(a.slot(half, c.slot), a.scale)
	if a.minimum {
		a.VMOVUPS(a.slot(half, c.slot+1), a.least)
	}
	for i := range 16 {
		q, low := a.quants[i/4], 8*(i%4)+c.shift
		switch {
		case name == "Q8_0":
			a.field(q, low, 8, true, a.weight)
		case nibbles != nil: // the index of VPERMPS is the lowest bits
			if low > 0 {
				a.VPSRLD(operand.Imm(uint64(low)), q, a.weight)
				q = a.weight
			}
			a.VPERMPS(nibbles, q, a.weight)
		default:
			a.field(q, low, 4, name == "Q4_0", a.weight)
		}
		if a.minimum {
			a.VFMADD213PS(a.least, a.scale, a.weight)
		} else {
			a.VMULPS(a.scale, a.weight, a.weight)
		}
		a.use(half, index+i)
	}
}

// use multiplies the weights of element i of a block with those of the rows, or stores them.
func (a *quantisedKernel) use(half, i int) {
	if a.rows == 0 {
		a.VMOVUPS(a.weight, operand.Mem{Base: quantOther, Disp: (2*i + half) * a.vectorBytes()})
		return
	}
	for r := range a.rows {
		x := operand.Mem{Base: quantOther, Disp: 4 * (i*a.rows + r)}
		if a.wide() {
			a.VFMADD231PS_BCST(x, a.weight, a.total(half, r))
			continue
		}
		a.VBROADCASTSS(x, a.spare)
		a.VFMADD231PS(a.spare, a.weight, a.total(half, r))
	}
}

func (a *quantisedKernel) storeTotals() {
	y, stride := quantOther, quantSpare
	a.Load(a.Param("y"), y)
	a.Load(a.Param("yStride"), stride)
	for r := range a.rows {
		for half := range 2 {
			a.VMOVUPS(a.total(half, r), operand.Mem{Base: y, Disp: half * a.vectorBytes()})
		}
		if r < a.rows-1 {
			a.ADDQ(stride, y)
		}
	}
}

// nibbles is a table of the values of 4 bits, from 0 or from -8 on.
func (a *assembler) nibbles(signed bool) operand.Mem {
	key, name, first := uint32(0xffff_fffd), "nibbles", 0 // no constant has these bits
	if signed {
		key, name, first = 0xffff_fffc, "signedNibbles", -8
	}
	if m, ok := a.constants[key]; ok {
		return m
	}
	m := a.StaticGlobal(name)
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		a.AppendDatum(operand.U32(math.Float32bits(float32(first + i))))
	}
	a.constants[key] = m
	return m
}
