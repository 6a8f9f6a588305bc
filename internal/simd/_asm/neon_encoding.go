package main

import (
	"fmt"
	"strings"
)

// encodings holds the vector instructions that the kernels use. Go's assembler lacks most of them, so they are all written
// as words, with what they are beside them. Written as in the Arm Architecture Reference Manual (DDI 0487, C7.2), a
// register being %; the words are those of register 0 and, where there is a number #, of the number 0. All have the
// first register Rd in bits 0 to 4, Rn in bits 5 to 9 and Rm in bits 16 to 20.
var encodings = map[string]uint32{
	// advanced SIMD, three registers of the same type: 0 Q U 01110 size 1 Rm opcode 1 Rn Rd
	"fadd %.4s, %.4s, %.4s":   0x4e20d400,
	"fadd %.2d, %.2d, %.2d":   0x4e60d400,
	"fsub %.4s, %.4s, %.4s":   0x4ea0d400,
	"fmul %.4s, %.4s, %.4s":   0x6e20dc00,
	"fdiv %.4s, %.4s, %.4s":   0x6e20fc00,
	"fmla %.4s, %.4s, %.4s":   0x4e20cc00,
	"fmla %.2d, %.2d, %.2d":   0x4e60cc00,
	"fmls %.4s, %.4s, %.4s":   0x4ea0cc00,
	"fmax %.4s, %.4s, %.4s":   0x4e20f400,
	"fmin %.4s, %.4s, %.4s":   0x4ea0f400,
	"fmaxnm %.4s, %.4s, %.4s": 0x4e20c400,
	"fcmeq %.4s, %.4s, %.4s":  0x4e20e400,
	"fcmge %.4s, %.4s, %.4s":  0x6e20e400,
	"fcmgt %.4s, %.4s, %.4s":  0x6ea0e400,
	"add %.4s, %.4s, %.4s":    0x4ea08400,
	"sub %.4s, %.4s, %.4s":    0x6ea08400,
	"umax %.4s, %.4s, %.4s":   0x6ea06400,
	"and %.16b, %.16b, %.16b": 0x4e201c00,
	"bic %.16b, %.16b, %.16b": 0x4e601c00,
	"orr %.16b, %.16b, %.16b": 0x4ea01c00,
	"eor %.16b, %.16b, %.16b": 0x6e201c00,
	"bsl %.16b, %.16b, %.16b": 0x6e601c00,
	"bit %.16b, %.16b, %.16b": 0x6ea01c00,
	"bif %.16b, %.16b, %.16b": 0x6ee01c00,
	// permute: 0 Q 001110 size 0 Rm 0 opcode 10 Rn Rd
	"trn1 %.4s, %.4s, %.4s": 0x4e802800,
	"trn2 %.4s, %.4s, %.4s": 0x4e806800,
	"zip1 %.2d, %.2d, %.2d": 0x4ec03800,
	"zip2 %.2d, %.2d, %.2d": 0x4ec07800,
	"zip1 %.8h, %.8h, %.8h": 0x4e403800,
	"zip2 %.8h, %.8h, %.8h": 0x4e407800,
	"uzp2 %.8h, %.8h, %.8h": 0x4e405800,
	// two registers: 0 Q U 01110 size 10000 opcode 10 Rn Rd
	"fneg %.4s, %.4s":       0x6ea0f800,
	"fabs %.4s, %.4s":       0x4ea0f800,
	"fsqrt %.4s, %.4s":      0x6ea1f800,
	"fcvtns %.4s, %.4s":     0x4e21a800,
	"scvtf %.4s, %.4s":      0x4e21d800,
	"fcvtl %.4s, %.4h":      0x0e217800,
	"fcvtl2 %.4s, %.8h":     0x4e217800,
	"fcvtl %.2d, %.2s":      0x0e617800,
	"fcvtl2 %.2d, %.4s":     0x4e617800,
	"shll %.4s, %.4h, #16":  0x2e613800,
	"shll2 %.4s, %.8h, #16": 0x6e613800,
	// across lanes: 0 Q U 01110 size 11000 opcode 10 Rn Rd; scalar pairwise: 01 1 11110 size 11000 opcode 10 Rn Rd
	"fmaxnmv s%, %.4s": 0x6e30c800,
	"umaxv s%, %.4s":   0x6eb0a800,
	"faddp d%, %.2d":   0x7e70d800,
	// copy: 0 Q 0 01110000 imm5 0 0000 1 Rn Rd
	"dup %.4s, %.s[0]": 0x4e040400,
}

// vector adds an instruction of encodings with these registers.
func (a *neon) vector(form string, registers ...int) {
	a.word(encode(form, registers...), written(form, registers...))
}

func encode(form string, registers ...int) uint32 {
	word, ok := encodings[form]
	if !ok {
		panic("no encoding of " + form)
	}
	for i, r := range registers {
		word |= uint32(r) << []int{0, 5, 16}[i]
	}
	return word
}

// written is an instruction in the manual's syntax.
func written(form string, registers ...int) string {
	for _, r := range registers {
		name := fmt.Sprintf("v%d", r)
		if at := strings.IndexByte(form, '%'); at > 0 && form[at-1] != ' ' { // after the letter of a scalar
			name = name[1:]
		}
		form = strings.Replace(form, "%", name, 1)
	}
	return form
}

func (a *neon) word(word uint32, instruction string) {
	a.emit("WORD", fmt.Sprintf("$%#08x // %s", word, instruction))
}

// same adds an instruction of registers that hold all the same.
func (a *neon) same(name, arrangement string, registers []int) {
	operand := "%." + arrangement
	a.vector(name+" "+operand+strings.Repeat(", "+operand, len(registers)-1), registers...)
}

// s4, d2 and b16 add an instruction of registers of float32 (or words), of float64, and of bits.
func (a *neon) s4(name string, registers ...int)  { a.same(name, "4s", registers) }
func (a *neon) d2(name string, registers ...int)  { a.same(name, "2d", registers) }
func (a *neon) b16(name string, registers ...int) { a.same(name, "16b", registers) }

// multiplyElement adds FMLA by element: sum += b·x[lane], a lane each. 0 Q 0 01111 1 sz L Rm 0001 H 0 Rn Rd, with sz 0
// for float32, and the lane in H and L.
func (a *neon) multiplyElement(sum, b, x, lane int) {
	a.word(encodeMultiplyElement(sum, b, x, lane), fmt.Sprintf("fmla v%d.4s, v%d.4s, v%d.s[%d]", sum, b, x, lane))
}

func encodeMultiplyElement(sum, b, x, lane int) uint32 {
	return 0x4f801000 | uint32(lane&1)<<21 | uint32(x)<<16 | uint32(lane>>1)<<11 | uint32(b)<<5 | uint32(sum)
}

// shift adds a shift of words: shl to the left, sshr (with the sign) and ushr to the right. 0 Q U 011110 immh:immb opcode 1
// Rn Rd, where immh:immb is 32 + the number of bits for shl, and 64 - that number for the others.
func (a *neon) shift(name string, y, x, by int) {
	a.word(encodeShift(name, y, x, by), fmt.Sprintf("%s v%d.4s, v%d.4s, #%d", name, y, x, by))
}

func encodeShift(name string, y, x, by int) uint32 {
	opcode := map[string]uint32{"shl": 0x4f005400, "sshr": 0x4f000400, "ushr": 0x6f000400}[name]
	number := 64 - by
	if name == "shl" {
		number = 32 + by
	}
	return opcode | uint32(number)<<16 | uint32(x)<<5 | uint32(y)
}
