package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantised is a block type of ggml: numbers of few bits that share scales. A weight is q·d, or q·d ± m where it has a
// minimum, computed as ggml does it. All products of q and a scale are exact, so that to fuse them with a sum changes nothing.
type quantised struct {
	name            string
	elements, bytes int  // of a block
	depth           int  // bits of an element
	signed          bool // the first bit of an element is its sign, once the fields are put together
	minimum         sign // of m
	// prepare leaves what a block needs of scales and bits in slots, once for each half.
	prepare func(a *quantisedKernel, half int)
	chunks  []chunk // of a run
	// A block is so many runs. From one to the next the bytes, and the slots, of chunks move on by so many.
	runs, runBytes, runSlots int
}

type sign int

const (
	none  sign = 0
	plus  sign = 1
	minus sign = -1
)

// chunk is 16 elements, whose bits, or the lower of them, lie in 16 bytes.
type chunk struct {
	at    int // of the bytes
	slot  int // of the scale; the minimum is in the next
	shift int // where in a byte its bits begin
	above int // the slot of the bits above those
	order int // where in a byte, or in a word, of that slot the bits begin
}

// quantisedTypes are the block types, as ggml-common.h lays them out.
var quantisedTypes = []quantised{
	{
		name: "Q8_0", elements: 32, bytes: 34, depth: 8, signed: true,
		prepare: (*quantisedKernel).prepareScale,
		chunks:  []chunk{{at: 2}, {at: 18}},
		runs:    1,
	},
	{
		name: "Q4_0", elements: 32, bytes: 18, depth: 4, signed: true,
		prepare: (*quantisedKernel).prepareScale,
		chunks:  []chunk{{at: 2}, {at: 2, shift: 4}},
		runs:    1,
	},
	{
		name: "Q4_1", elements: 32, bytes: 20, depth: 4, minimum: plus,
		prepare: (*quantisedKernel).prepareScale,
		chunks:  []chunk{{at: 4}, {at: 4, shift: 4}},
		runs:    1,
	},
	{
		name: "Q5_0", elements: 32, bytes: 22, depth: 5, signed: true,
		prepare: (*quantisedKernel).prepareScale,
		chunks:  []chunk{{at: 6, above: 2}, {at: 6, shift: 4, above: 2, order: 16}},
		runs:    1,
	},
	{
		name: "Q5_1", elements: 32, bytes: 24, depth: 5, minimum: plus,
		prepare: (*quantisedKernel).prepareScale,
		chunks:  []chunk{{at: 8, above: 2}, {at: 8, shift: 4, above: 2, order: 16}},
		runs:    1,
	},
	{
		name: "Q2_K", elements: 256, bytes: 84, depth: 2, minimum: minus,
		prepare: (*quantisedKernel).prepareQ2K,
		chunks: chunksOfHalf(func(sub, part int) chunk {
			return chunk{at: 16 + 16*part, slot: 2 * (2*sub + part), shift: 2 * sub}
		}),
		runs: 2, runBytes: 32, runSlots: 16,
	},
	{
		name: "Q3_K", elements: 256, bytes: 110, depth: 3, signed: true,
		prepare: (*quantisedKernel).prepareQ3K,
		chunks: chunksOfHalf(func(sub, part int) chunk {
			return chunk{at: 32 + 16*part, slot: 2*sub + part, shift: 2 * sub, above: 8 + 4*part, order: sub}
		}),
		runs: 2, runBytes: 32, runSlots: 16,
	},
	{
		name: "Q4_K", elements: 256, bytes: 144, depth: 4, minimum: minus,
		prepare: (*quantisedKernel).prepareQ4K,
		chunks:  []chunk{{at: 16}, {at: 32}, {at: 16, slot: 2, shift: 4}, {at: 32, slot: 2, shift: 4}},
		runs:    4, runBytes: 32, runSlots: 4,
	},
	{
		name: "Q5_K", elements: 256, bytes: 176, depth: 5, minimum: minus,
		prepare: (*quantisedKernel).prepareQ5K,
		chunks:  []chunk{{at: 48, above: 4}, {at: 64, above: 8}, {at: 48, slot: 2, shift: 4, above: 4, order: 1}, {at: 64, slot: 2, shift: 4, above: 8, order: 1}},
		runs:    4, runBytes: 32, runSlots: 12,
	},
	{
		name: "Q6_K", elements: 256, bytes: 210, depth: 6, signed: true,
		prepare: (*quantisedKernel).prepareQ6K,
		chunks: chunksOfHalf(func(sub, part int) chunk {
			return chunk{at: 32*(sub%2) + 16*part, slot: 2*sub + part, shift: 4 * (sub / 2), above: 8 + 4*part, order: 2 * sub}
		}),
		runs: 2, runBytes: 64, runSlots: 16,
	},
}

// chunksOfHalf are the chunks of a half of a block: 4 sub-blocks of 32 elements, in 2 parts.
func chunksOfHalf(of func(sub, part int) chunk) (chunks []chunk) {
	for i := range 8 {
		chunks = append(chunks, of(i/2, i%2))
	}
	return chunks
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
	quantSpare    = reg.R15 // runs to go
)

// quantisedKernel is a kernel in the making. Of its vector registers 8 are sums of up to 4 rows. AVX-512 has some for the quants
// of two chunks and for the weights of each half of a panel, and treats the halves together, so that not every sum waits for the
// one before it; AVX2 has 4 for the quants of a chunk, and 4 others.
type quantisedKernel struct {
	*assembler
	quantised
	rows                 int // of the left-hand side; 0: weights are stored
	quants               [2][][]reg.VecPhysical
	held                 [2][]int // where the bytes lie that are in quants, -1 for none
	scale, least, weight [2]reg.VecPhysical
	spare, values        reg.VecPhysical
}

// quantisedKernels makes for each block type a function that widens blocks, and those that multiply 1, 2 and 4 rows with them.
func (a *assembler) quantisedKernels() {
	for _, q := range quantisedTypes {
		for _, rows := range []int{0, 1, 2, 4} {
			k, r := &quantisedKernel{assembler: a, quantised: q, rows: rows}, a.regs
			for half := range 2 {
				if a.wide() {
					k.scale[half], k.least[half], k.weight[half] = r[8+half], r[10+half], r[12+half]
					k.quants[half] = [][]reg.VecPhysical{r[16+8*half:][:4], r[20+8*half:][:4]}
				} else {
					k.scale[half], k.least[half], k.weight[half] = r[12], r[13], r[14]
					k.quants[half] = [][]reg.VecPhysical{r[8:12]}
				}
			}
			k.spare, k.values = r[15], r[15]
			if a.wide() {
				k.spare = r[14]
			}
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
	blocks := fmt.Sprintf("count blocks in each of %d rows, rowBytes apart", 2*a.width)
	if a.rows == 0 {
		a.begin(a.name(), "(blocks *byte, rowBytes, count int, y, scratch *float32)", "sets y to the transpose of "+blocks+".")
	} else {
		a.begin(a.name(), "(blocks *byte, rowBytes, count int, x, y *float32, yStride int, start, scratch *float32)",
			fmt.Sprintf("multiplies %d rows with %s: y = start + Σ x·w. Element i of row r is x[%d·i+r]; yStride is in bytes.", a.rows, blocks, a.rows))
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
	if a.inTables() {
		a.VMOVUPS(a.table(), a.values)
	}
	block := a.label("block")
	a.Label(block)
	for half := range 2 {
		a.prepare(a, half)
	}
	a.eachRun(func() {
		for half := range 2 {
			a.held[half] = []int{-1, -1}
		}
		for i, c := range a.chunks {
			a.prefetch(i)
			if a.wide() {
				a.chunk(c, i, 0, 1)
			} else {
				a.chunk(c, i, 0)
				a.chunk(c, i, 1)
			}
		}
	})
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

// eachRun makes the code of the runs of a block, and moves on by a block.
func (a *quantisedKernel) eachRun(body func()) {
	size, runSlots := 4*a.rows, a.runSlots*2*a.vectorBytes()
	if a.rows == 0 {
		size = 2 * a.vectorBytes()
	}
	run := a.label("run")
	if a.runs > 1 {
		a.MOVQ(operand.U32(uint32(a.runs)), quantSpare)
		a.Label(run)
	}
	body()
	a.move(quantPrefetch, a.prefetched())
	a.move(quantOther, 16*len(a.chunks)*size)
	if a.runs > 1 {
		for _, b := range a.bases() {
			a.move(b, a.runBytes)
		}
		a.move(quantScratch, runSlots)
		a.DECQ(quantSpare)
		a.JNZ(operand.LabelRef(run))
		a.move(quantScratch, -a.runs*runSlots)
	}
	for _, b := range a.bases() {
		a.move(b, a.bytes()-a.runs*a.runBytes)
	}
}

// prefetched is how many bytes of the next panel, which lies behind this one, are asked for in a run: as many as it takes of this one.
func (a *quantisedKernel) prefetched() int { return 2 * a.width * a.bytes() / a.runs }

// prefetch asks for the part of them that comes before chunk i.
func (a *quantisedKernel) prefetch(i int) {
	lines := (a.prefetched() + 63) / 64
	for line := lines * i / len(a.chunks); line < lines*(i+1)/len(a.chunks); line++ {
		a.PREFETCHT0(operand.Mem{Base: quantPrefetch, Disp: 64 * line})
	}
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

// load loads 16 bytes of every row and transposes them: q[i] gets bytes 4i to 4i+3 of all rows, for the first words of q at
// least. All registers but sums and quants are lost.
func (a *quantisedKernel) load(half, at int, q []reg.VecPhysical, words int) {
	t := []reg.VecPhysical{a.scale[0], a.least[0], a.weight[0], a.spare}
	for i := range 4 {
		a.VMOVUPS(a.row(half, i, at), q[i].AsX())
		for lane := 1; lane < a.width/4; lane++ {
			if a.wide() {
				a.VINSERTI32X4(operand.Imm(uint64(lane)), a.row(half, i+4*lane, at), q[i], q[i])
			} else {
				a.VINSERTI128(operand.Imm(uint64(lane)), a.row(half, i+4*lane, at), q[i], q[i])
			}
		}
	}
	a.VPUNPCKLDQ(q[1], q[0], t[0])
	a.VPUNPCKLDQ(q[3], q[2], t[2])
	if words > 2 {
		a.VPUNPCKHDQ(q[1], q[0], t[1])
		a.VPUNPCKHDQ(q[3], q[2], t[3])
	}
	for i := range (words + 1) / 2 {
		a.VPUNPCKLQDQ(t[2+i], t[i], q[2*i])
		a.VPUNPCKHQDQ(t[2+i], t[i], q[2*i+1])
	}
}

// half sets to to the float32 of the float16 in a half of each word of x.
func (a *quantisedKernel) half(x reg.VecPhysical, upper bool, to reg.VecPhysical) {
	switch {
	case upper:
		a.VPSRLD(operand.Imm(16), x, to)
		x = to
	case !a.wide():
		a.and(a.bits(0xffff), x, to)
		x = to
	}
	if a.wide() {
		a.VPMOVDW(x, to.AsY())
		a.VCVTPH2PS(to.AsY(), to)
		return
	}
	a.VPACKUSDW(x, x, to)
	a.VPERMQ(operand.Imm(0b1000), to, to)
	a.VCVTPH2PS(to.AsX(), to)
}

// prepareScale leaves a scale, a minimum and the fifth bits of the elements, as far as there are any.
func (a *quantisedKernel) prepareScale(half int) {
	q := a.quants[half][0]
	a.load(half, 0, q, 2)
	a.half(q[0], false, a.scale[half])
	a.VMOVUPS(a.scale[half], a.slot(half, 0))
	if a.minimum != none {
		a.half(q[0], true, a.least[half])
		a.VMOVUPS(a.least[half], a.slot(half, 1))
	}
	if a.depth != 5 {
		return
	}
	if a.minimum == none { // they begin in the upper half of the first word
		a.VPSRLD(operand.Imm(16), q[0], q[0])
		a.VPSLLD(operand.Imm(16), q[1], q[1])
		a.or(q[0], q[1], q[1])
	}
	a.flip(^uint32(0), q[1])
	a.VMOVUPS(q[1], a.slot(half, 2))
}

// keepScale leaves in a slot the integer whose bits begin at low in x, times a number.
func (a *quantisedKernel) keepScale(half int, x reg.VecPhysical, low, bits int, signed bool, times operand.Op, slot int) {
	w := a.weight[half]
	a.field(x, low, bits, signed, w)
	a.VMULPS(times, w, w)
	a.VMOVUPS(w, a.slot(half, slot))
}

// keepBits leaves for each run, from a slot on, the 8 words that begin at at: they have a byte for each of 32 elements, with the
// upper bits of count sub-blocks of each run.
func (a *quantisedKernel) keepBits(half, at, slot, count int) {
	q := a.quants[half][0]
	for word := range 8 {
		if word%4 == 0 {
			a.load(half, at+4*word, q, 4)
		}
		x := q[word%4]
		a.flip(^uint32(0), x)
		for run := range a.runs {
			if run > 0 {
				a.VPSRLD(operand.Imm(uint64(count)), x, x)
			}
			a.VMOVUPS(x, a.slot(half, run*a.runSlots+slot+word))
		}
	}
}

// prepareQ2K leaves 16 scales, each followed by its minimum.
func (a *quantisedKernel) prepareQ2K(half int) {
	q, scale, least := a.quants[half][0], a.scale[half], a.least[half]
	a.load(half, 68, q, 4)
	a.half(q[3], false, scale)
	a.half(q[3], true, least)
	a.VMOVUPS(scale, a.slot(half, 0)) // load loses the registers
	a.VMOVUPS(least, a.slot(half, 1))
	a.load(half, 0, q, 4)
	a.VMOVUPS(a.slot(half, 0), scale)
	a.VMOVUPS(a.slot(half, 1), least)
	for i := range 16 {
		a.keepScale(half, q[i/4], 8*(i%4), 4, false, scale, 2*i)
		a.keepScale(half, q[i/4], 8*(i%4)+4, 4, false, least, 2*i+1)
	}
}

// prepareQ3K leaves for each half of a block 8 scales and 8 words of the upper bits of elements.
func (a *quantisedKernel) prepareQ3K(half int) {
	q, scale, upper := a.quants[half][0], a.scale[half], a.least[half]
	a.keepBits(half, 0, 8, 4)
	a.load(half, 94, q, 4)
	a.half(q[3], true, scale)
	a.VMOVUPS(scale, a.slot(half, 0)) // load loses the register
	a.load(half, 92, q, 4)
	a.VMOVUPS(a.slot(half, 0), scale)
	for word := range 4 { // 8 bytes are the lower halves of the scales, the 4 behind them the two upper bits
		x := q[1+word%2]
		if word >= 2 {
			a.VPSRLD(operand.Imm(4), x, x)
		}
		a.and(a.bits(0x0f0f0f0f), x, q[0])
		a.shift(q[3], 4-2*word, upper)
		a.and(a.bits(0x30303030), upper, upper)
		a.or(upper, q[0], q[0])
		a.invert(0x20202020, q[0])
		for i := range 4 {
			a.keepScale(half, q[0], 8*i, 6, true, scale, word/2*a.runSlots+word%2*4+i)
		}
	}
}

// prepareQ4K leaves 8 scales, each followed by its minimum. They have 6 depth: see get_scale_min_k4 of ggml.
func (a *quantisedKernel) prepareQ4K(half int) {
	q, scale, least := a.quants[half][0], a.scale[half], a.least[half]
	a.load(half, 0, q, 4)
	a.half(q[0], false, scale)
	a.half(q[0], true, least)
	keep := func(x reg.VecPhysical, run, slot int, times reg.VecPhysical) {
		for i := range 4 {
			a.keepScale(half, x, 8*i, 6, false, times, (run+i/2)*a.runSlots+slot+i%2*2)
		}
	}
	keep(q[1], 0, 0, scale)
	keep(q[2], 0, 1, least)
	for i, x := range q[1:3] { // of the last 4 the two upper bits are above the first
		low := q[3]
		if i == 1 {
			a.VPSRLD(operand.Imm(4), low, low)
		}
		a.and(a.bits(0x0f0f0f0f), low, q[0])
		a.VPSRLD(operand.Imm(2), x, x)
		a.and(a.bits(0x30303030), x, x)
		a.or(x, q[0], q[0])
		keep(q[0], 2, i, []reg.VecPhysical{scale, least}[i])
	}
}

// prepareQ5K leaves what prepareQ4K leaves, and for each run 8 words of the fifth bits of elements.
func (a *quantisedKernel) prepareQ5K(half int) {
	a.prepareQ4K(half)
	a.keepBits(half, 16, 4, 2)
}

// prepareQ6K leaves for each half of a block 8 scales and 8 words of the two upper bits of elements.
func (a *quantisedKernel) prepareQ6K(half int) {
	q, w := a.quants[half][0], a.weight[half]
	for i := range 16 {
		if i%4 == 0 {
			a.load(half, 128+4*i, q, 4)
		}
		a.flip(0xaaaaaaaa, q[i%4])
		a.VMOVUPS(q[i%4], a.slot(half, 16*(i/8)+8+i%8))
	}
	// The scale of all waits in the slot that is written last.
	a.load(half, 194, q, 4)
	a.half(q[3], true, w)
	a.VMOVUPS(w, a.slot(half, 0))
	a.load(half, 192, q, 4)
	for i := 15; i >= 0; i-- {
		a.keepScale(half, q[i/4], 8*(i%4), 8, true, a.slot(half, 0), 16*(i/8)+i%8)
	}
}

// inTables tells whether elements are looked up, which VPERMPS does.
func (a *quantisedKernel) inTables() bool { return a.wide() && a.depth <= 5 }

// flip inverts bits that are the first of their elements, where that makes them signed numbers: ggml has them from 0 on.
func (a *quantisedKernel) flip(mask uint32, x reg.VecPhysical) {
	if a.signed && !a.inTables() && a.depth < 8 {
		a.invert(mask, x)
	}
}

func (a *quantisedKernel) invert(mask uint32, x reg.VecPhysical) {
	if a.wide() {
		a.VPXORD(a.bits(mask), x, x)
		return
	}
	a.VPXOR(a.bits(mask), x, x)
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

// shift sets to to the words of from, shifted to the left or, if by is negative, to the right.
func (a *quantisedKernel) shift(from operand.Op, by int, to reg.VecPhysical) {
	if by == 0 || !a.wide() {
		a.VMOVUPS(from, to)
		from = to
	}
	if by > 0 {
		a.VPSLLD(operand.Imm(uint64(by)), from, to)
	} else if by < 0 {
		a.VPSRLD(operand.Imm(uint64(-by)), from, to)
	}
}

// bytesOf returns registers with the bytes of a chunk, number i of a run, loaded unless they are there.
func (a *quantisedKernel) bytesOf(c chunk, half, i int) []reg.VecPhysical {
	sets, held := a.quants[half], a.held[half]
	for set, at := range held {
		if at == c.at {
			return sets[set]
		}
	}
	set := i % len(sets)
	if c.above > 0 { // another set is for what join makes
		set = 0
	}
	if a.wide() {
		held[set] = c.at
	}
	a.load(half, c.at, sets[set], 4)
	if c.above == 0 {
		for _, q := range sets[set] {
			a.flip(0x88888888, q)
		}
	}
	return sets[set]
}

// join puts the upper bits of a chunk's elements above the lower: then each has a byte, and begins with it.
func (a *quantisedKernel) join(c chunk, half int, lower []reg.VecPhysical) []reg.VecPhysical {
	sets, upper := a.quants[half], a.spare
	joined, below := sets[len(sets)-1], 4
	if a.depth == 3 {
		below = 2
	}
	for w, q := range joined {
		if a.elements == 256 { // a byte of a slot is one element's
			a.shift(a.slot(half, c.above+w), below-c.order, upper)
			a.and(a.bits(0x01010101*(1<<a.depth-1<<below)), upper, upper)
		} else { // 4 neighbouring bits, times 1 + 2⁷ + 2¹⁴ + 2²¹, are bits of 4 bytes
			a.shift(a.slot(half, c.above), 4-c.order-4*w, upper)
			a.and(a.bits(0xf0), upper, upper)
			a.VPMULLD(a.bits(0x00204081), upper, upper)
			a.and(a.bits(0x10101010), upper, upper)
		}
		x := lower[w]
		if c.shift > 0 {
			a.VPSRLD(operand.Imm(uint64(c.shift)), x, q)
			x = q
		}
		a.and(a.bits(0x01010101*(1<<below-1)), x, q)
		a.or(upper, q, q)
	}
	return joined
}

// chunk treats a chunk, number i of a run, of halves of the panel.
func (a *quantisedKernel) chunk(c chunk, i int, halves ...int) {
	var quants [2][]reg.VecPhysical
	for _, half := range halves {
		quants[half] = a.bytesOf(c, half, i)
		if c.above > 0 {
			quants[half] = a.join(c, half, quants[half])
		}
	}
	if c.above > 0 {
		c.shift = 0
	}
	for _, half := range halves {
		a.VMOVUPS(a.slot(half, c.slot), a.scale[half])
		if a.minimum != none {
			a.VMOVUPS(a.slot(half, c.slot+1), a.least[half])
		}
	}
	for element := range 16 {
		for _, half := range halves {
			w, scale, least := a.weight[half], a.scale[half], a.least[half]
			a.element(quants[half][element/4], 8*(element%4)+c.shift, w)
			switch a.minimum {
			case none:
				a.VMULPS(scale, w, w)
			case plus:
				a.VFMADD213PS(least, scale, w)
			case minus:
				a.VFMSUB213PS(least, scale, w)
			}
			a.use(half, 16*i+element)
		}
	}
}

// element sets to to the float32 of the element whose bits begin at low in x.
func (a *quantisedKernel) element(x reg.VecPhysical, low int, to reg.VecPhysical) {
	if !a.inTables() {
		a.field(x, low, a.depth, a.signed, to)
		return
	}
	if low > 0 { // an index is the lowest bits
		a.VPSRLD(operand.Imm(uint64(low)), x, to)
		x = to
	}
	if a.depth <= 4 {
		a.VPERMPS(a.values, x, to)
		return
	}
	if low == 0 {
		a.VMOVDQA64(x, to)
	}
	upper := a.table()
	upper.Disp += a.vectorBytes()
	a.VPERMI2PS(upper, a.values, to)
}

// use multiplies the weights of element i of a run with those of the rows, or stores them.
func (a *quantisedKernel) use(half, i int) {
	if a.rows == 0 {
		a.VMOVUPS(a.weight[half], operand.Mem{Base: quantOther, Disp: (2*i + half) * a.vectorBytes()})
		return
	}
	for r := range a.rows {
		x := operand.Mem{Base: quantOther, Disp: 4 * (i*a.rows + r)}
		if a.wide() {
			a.VFMADD231PS_BCST(x, a.weight[half], a.total(half, r))
			continue
		}
		a.VBROADCASTSS(x, a.spare)
		a.VFMADD231PS(a.spare, a.weight[half], a.total(half, r))
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

// table is the values of all elements, from 0 or, where they are signed, from half of the most below it on. An index has 4 bits at
// least: values are there for any above those of an element.
func (a *quantisedKernel) table() operand.Mem {
	count, first, name := 1<<a.depth, 0, fmt.Sprintf("values%d", a.depth)
	key := 0xffff_ff00 | uint32(count) // no constant has these bits
	if a.signed {
		key, first, name = key|1, -count/2, name+"Signed"
	}
	if m, ok := a.constants[key]; ok {
		return m
	}
	m := a.StaticGlobal(name)
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range max(16, count) {
		a.AppendDatum(operand.U32(math.Float32bits(float32(first + i%count))))
	}
	a.constants[key] = m
	return m
}
