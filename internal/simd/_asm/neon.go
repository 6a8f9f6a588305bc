package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
)

// neon is a generator of functions for arm64. avo has none of its instructions, but its functions, labels, constants and
// printers serve any machine. A vector register is a number, 0 to 31, a general one its name in Go's assembler;
// R16 to R18 and R27 to R30 are not for us.
type neon struct {
	*build.Context
	function  string
	labels    int
	constants map[uint32]int // where a vector of equal words lies in the table
	size      int            // of the table
	partial   bool           // as in assembler
}

// The general registers of the functions on slices: the values to go, the table of constants, and a spare one.
const (
	neonCount     = "R0"
	neonConstants = "R8"
	neonSpare     = "R9"
)

var neonSlices = []string{"R1", "R2", "R3", "R4", "R5", "R6"}

// neonTable is the symbol of the table of constants. It begins with the masks of partial vectors: four words of ones and
// four of zeros.
const neonTable = "constants"

func newNEON(c *build.Context) *neon {
	a := &neon{Context: c, constants: map[uint32]int{}}
	a.StaticGlobal(neonTable)
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, lanes := range []uint64{math.MaxUint64, math.MaxUint64, 0, 0} {
		a.append(lanes)
	}
	return a
}

func (a *neon) append(value uint64) {
	a.AppendDatum(operand.U64(value))
	a.size += 8
}

// text is an operand as Go's assembler reads it.
type text string

// Asm returns the operand.
func (t text) Asm() string { return string(t) }

// emit adds an instruction that Go's assembler knows.
func (a *neon) emit(opcode string, operands ...string) {
	i := &ir.Instruction{Opcode: opcode}
	for _, o := range operands {
		i.Operands = append(i.Operands, text(o))
	}
	a.Instruction(i)
}

// begin begins a function and says what it does.
func (a *neon) begin(name, signature, doc string) {
	a.function = name + "NEON"
	a.labels = 0
	a.Function(a.function)
	a.Attributes(attr.NOSPLIT)
	a.SignatureExpr("func" + signature)
	a.Pragma("noescape")
	a.Doc(a.function + " " + doc)
}

func (a *neon) end() { a.emit("RET") }

// label returns a label that is new in the file.
func (a *neon) label(what string) string {
	a.labels++
	return fmt.Sprintf("%s%s%d", a.function, what, a.labels)
}

// address is where a parameter or a result is.
func (a *neon) address(c gotypes.Component) string {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr.Asm()
}

// parameter loads a parameter of 64 bits.
func (a *neon) parameter(name, register string) {
	a.emit("MOVD", a.address(a.Param(name)), register)
}

// start loads the addresses of the named slices, the length of the first, and the address of the constants. It returns
// the registers of the addresses.
func (a *neon) start(names ...string) []string {
	a.emit("MOVD", a.address(a.Param(names[0]).Len()), neonCount)
	for i, name := range names {
		a.emit("MOVD", a.address(a.Param(name).Base()), neonSlices[i])
	}
	a.emit("MOVD", "$"+neonTable+"<>(SB)", neonConstants)
	return neonSlices[:len(names)]
}

// broadcast loads a float32 parameter into all lanes.
func (a *neon) broadcast(name string, v int) {
	a.emit("FMOVS", a.address(a.Param(name)), f(v))
	a.spread(v)
}

// spread sets all lanes to the lowest.
func (a *neon) spread(v int) { a.vector("dup %.4s, %.s[0]", v, v) }

// constant loads a vector of equal float32. Loads are cheap beside arithmetic, which is destructive: it would need a copy
// of a constant that is held in a register.
func (a *neon) constant(value float64, v int) { a.bits(math.Float32bits(float32(value)), v) }

// bits loads a vector of equal words.
func (a *neon) bits(word uint32, v int) {
	at, ok := a.constants[word]
	if !ok {
		at = a.size
		a.constants[word] = at
		for range 2 {
			a.append(uint64(word)<<32 | uint64(word))
		}
	}
	a.emit("FMOVQ", memory(at, neonConstants), f(v))
}

func (a *neon) zero(v int)    { a.b16("eor", v, v, v) }
func (a *neon) move(x, y int) { a.b16("orr", y, x, x) }

// mask is the register in which the lanes of a partial vector are ones.
const mask = 31

// each runs body for all values, whole vectors first, then what is left; the pointers move on.
func (a *neon) each(pointers []string, body func()) {
	loop, rest, done := a.label("loop"), a.label("rest"), a.label("done")
	a.Label(loop)
	a.emit("SUBS", "$4", neonCount)
	a.emit("BLT", rest)
	body()
	for _, p := range pointers {
		a.emit("ADD", "$16", p)
	}
	a.emit("JMP", loop)
	a.Label(rest)
	a.emit("ADDS", "$4", neonCount)
	a.emit("BEQ", done)
	a.emit("SUB", neonCount+"<<2", neonConstants, neonSpare)
	a.emit("FMOVQ", memory(16, neonSpare), f(mask))
	a.partial = true
	body()
	a.partial = false
	a.Label(done)
}

// load loads four values. Of a partial vector it loads one, two or three, and 0 to the other lanes.
func (a *neon) load(from string, v int) {
	if !a.partial {
		a.emit("FMOVQ", memory(0, from), f(v))
		return
	}
	a.parts(from, func(size, at string) {
		a.emit("FMOV"+size, at, f(v))
	}, func(at string) {
		a.emit("VLD1", at, fmt.Sprintf("V%d.S[2]", v))
	})
}

func (a *neon) store(v int, to string) {
	if !a.partial {
		a.emit("FMOVQ", f(v), memory(0, to))
		return
	}
	a.parts(to, func(size, at string) {
		a.emit("FMOV"+size, f(v), at)
	}, func(at string) {
		a.emit("VST1", fmt.Sprintf("V%d.S[2]", v), at)
	})
}

// parts moves the one (S) or two (D) values at p that the count asks for, and the third after two.
func (a *neon) parts(p string, some func(size, at string), third func(at string)) {
	two, done := a.label("two"), a.label("moved")
	a.emit("TBNZ", "$1", neonCount, two)
	some("S", memory(0, p))
	a.emit("JMP", done)
	a.Label(two)
	some("D", memory(0, p))
	a.emit("TBZ", "$0", neonCount, done)
	a.emit("ADD", "$8", p, neonSpare)
	third(memory(0, neonSpare))
	a.Label(done)
}

// keep makes the lanes beyond a partial vector 0.
func (a *neon) keep(v int) {
	if a.partial {
		a.b16("and", v, v, mask)
	}
}

// fill makes the lanes of v beyond a partial vector those of other.
func (a *neon) fill(v, other int) {
	if a.partial {
		a.b16("bif", v, other, mask)
	}
}

// f is the scalar name of a vector register.
func f(v int) string { return fmt.Sprintf("F%d", v) }

// pair is the operand of an instruction that moves two registers.
func pair(v, w int) string { return fmt.Sprintf("(F%d, F%d)", v, w) }

// list is the operand of an instruction that moves several registers.
func list(arrangement string, registers ...int) string {
	var names []string
	for _, v := range registers {
		names = append(names, fmt.Sprintf("V%d.%s", v, arrangement))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func memory(at int, base string) string {
	if at == 0 {
		return "(" + base + ")"
	}
	return fmt.Sprintf("%d(%s)", at, base)
}
