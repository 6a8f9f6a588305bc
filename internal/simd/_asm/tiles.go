package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The instructions of AMX, which neither avo nor the assembler knows: VEX.128.0F38.W0 with an opcode and one of the prefixes
// none, 66, F3 and F2, which VEX numbers 0 to 3.
const (
	prefixNone = 0
	prefixF3   = 2
	prefixF2   = 3

	opcodeConfig = 0x49 // LDTILECFG from memory, TILERELEASE of a register, TILEZERO with F2
	opcodeMemory = 0x4b // TILELOADD with F2, TILESTORED with F3
	opcodeDot    = 0x5c // TDPBF16PS with F3
)

// tileRegister is the number of one of the eight tiles.
type tileRegister int

// The tiles of the kernel: two rows of two sums, the left-hand sides of the rows, the right-hand sides of the columns.
const (
	tileSums  tileRegister = 0
	tileLeft  tileRegister = 4
	tileRight tileRegister = 6
)

// vex is the three bytes of a VEX prefix and the opcode. The bits that extend the numbers of registers, and the number of the
// third register, are inverted.
func vex(prefix, opcode int, index, base, third int) []byte {
	return []byte{0xc4, byte(1<<7 | (^index>>3&1)<<6 | (^base>>3&1)<<5 | 2), byte((^third&15)<<3 | prefix), byte(opcode)}
}

// atAddress appends the bytes that address base + index + displacement, with a number beside them.
func atAddress(code []byte, number int, base, index, displacement int) []byte {
	return append(code, byte(0b10<<6|number<<3|0b100), byte(index&7<<3|base&7),
		byte(displacement), byte(displacement>>8), byte(displacement>>16), byte(displacement>>24))
}

// tileMemory is TILELOADD or TILESTORED: row i of the tile is at base + displacement + i·stride.
func tileMemory(prefix int, t tileRegister, base, stride reg.GPPhysical, displacement int) []byte {
	b, s := int(base.PhysicalIndex()), int(stride.PhysicalIndex())
	return atAddress(vex(prefix, opcodeMemory, s, b, 0), int(t), b, s, displacement)
}

// tileDot is TDPBF16PS sum, left, right.
func tileDot(sum, left, right tileRegister) []byte {
	return append(vex(prefixF3, opcodeDot, 0, 0, int(right)), byte(0b11<<6|int(sum)<<3|int(left)))
}

// tileConfig is LDTILECFG (base), of a register whose number is below 8 and addresses without more bytes.
func tileConfig(base reg.GPPhysical) []byte {
	return append(vex(prefixNone, opcodeConfig, 0, 0, 0), byte(base.PhysicalIndex()))
}

func tileRelease() []byte { return append(vex(prefixNone, opcodeConfig, 0, 0, 0), 0xc0) }

// tileZero is TILEZERO t.
func tileZero(t tileRegister) []byte {
	return append(vex(prefixF2, opcodeConfig, 0, 0, 0), byte(0b11<<6|int(t)<<3))
}

func (a *assembler) encoded(code []byte) {
	for _, b := range code {
		a.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
	}
}

// tiles makes the matrix kernels of AMX, which multiply one or two tiles of rows with a panel of two tiles of columns.
func (a *assembler) tiles() {
	for rows := 1; rows <= 2; rows++ {
		a.tileKernel(rows)
	}
}

// tileKernel makes a function that multiplies groups of rows, as the tiles that config describes: c = start + Σ a·b, where row i of
// start is at i·startStride: 0 for a bias, and c itself to add to that.
func (a *assembler) tileKernel(rows int) {
	a.begin(fmt.Sprintf("dotTiles%d", rows),
		"(config *byte, steps int, a *float32, aStride int, b *float32, bStride int, c *float32, cStride int, start *float32, startStride int, groups int)",
		fmt.Sprintf("multiplies groups of %d times 16 rows of pairs of bfloat16, steps times 16 pairs in each, with a panel of 32 columns. Strides are in bytes.", rows))
	var (
		left, aStride       = reg.RSI, reg.R9
		right, bStride      = reg.R13, reg.R10
		out, cStride        = reg.RDX, reg.R8
		start, startStride  = reg.RAX, reg.RBX
		count, second       = reg.RCX, reg.R12
		at, configAt, block = reg.R11, reg.RDI, reg.R15
	)
	a.Load(a.Param("config"), configAt)
	a.encoded(tileConfig(configAt))
	a.Load(a.Param("a"), left)
	a.Load(a.Param("aStride"), aStride)
	a.Load(a.Param("bStride"), bStride)
	a.Load(a.Param("c"), out)
	a.Load(a.Param("cStride"), cStride)
	a.Load(a.Param("start"), start)
	a.Load(a.Param("startStride"), startStride)
	a.MOVQ(bStride, block)
	a.SHLQ(operand.Imm(4), block)

	// each calls f with the address of every row of tiles, and moves base on to the next group.
	each := func(base, stride reg.GPPhysical, f func(row int)) {
		a.MOVQ(stride, second)
		a.SHLQ(operand.Imm(4), second)
		for row := range rows {
			f(row)
			a.ADDQ(second, base)
		}
	}
	group, loop := a.label("group"), a.label("loop")
	a.Label(group)
	each(start, startStride, func(row int) {
		for half := range 2 {
			a.encoded(tileMemory(prefixF2, tileSums+tileRegister(2*row+half), start, startStride, 64*half))
		}
	})
	a.MOVQ(left, at)
	a.MOVQ(aStride, second)
	a.SHLQ(operand.Imm(4), second)
	a.ADDQ(at, second)
	a.Load(a.Param("b"), right)
	a.Load(a.Param("steps"), count)
	a.Label(loop)
	if rows == 1 {
		a.prefetchTiles(right)
	}
	for row := range rows {
		a.encoded(tileMemory(prefixF2, tileLeft+tileRegister(row), []reg.GPPhysical{at, second}[row], aStride, 0))
		for half := range 2 {
			if row == 0 {
				a.encoded(tileMemory(prefixF2, tileRight+tileRegister(half), right, bStride, 64*half))
			}
			a.encoded(tileDot(tileSums+tileRegister(2*row+half), tileLeft+tileRegister(row), tileRight+tileRegister(half)))
		}
	}
	a.ADDQ(operand.Imm(64), at)
	a.ADDQ(operand.Imm(64), second)
	a.ADDQ(block, right)
	a.DECQ(count)
	a.JNZ(operand.LabelRef(loop))
	each(out, cStride, func(row int) {
		for half := range 2 {
			a.encoded(tileMemory(prefixF3, tileSums+tileRegister(2*row+half), out, cStride, 64*half))
		}
	})
	each(left, aStride, func(int) {})
	a.DECQ(a.address(a.Param("groups")))
	a.JNZ(operand.LabelRef(group))
	a.encoded(tileRelease())
	a.RET()
}

// prefetchTiles asks for the part of a packed panel that is needed some steps on, see prefetch: of few rows the weights are mostly waited for.
func (a *assembler) prefetchTiles(right reg.GPPhysical) {
	for line := range 2 * 16 {
		a.PREFETCHT1(operand.Mem{Base: right, Disp: prefetchDistance + 64*line})
	}
}

// tilePeak makes a loop of products of tiles alone.
func (a *assembler) tilePeak() {
	const sums = 4
	a.begin("bfloat16", "(config *byte, turns int)", fmt.Sprintf("multiplies and adds %d tiles of 16×16 pairs of bfloat16 with as many in every turn.", sums))
	a.Load(a.Param("config"), reg.RDI)
	a.encoded(tileConfig(reg.RDI))
	a.Load(a.Param("turns"), reg.RCX)
	loop := a.label("loop")
	a.Label(loop)
	for t := range tileRegister(sums) {
		a.encoded(tileDot(t, tileLeft, tileRight))
	}
	a.DECQ(reg.RCX)
	a.JNZ(operand.LabelRef(loop))
	a.encoded(tileRelease())
	a.RET()
}
