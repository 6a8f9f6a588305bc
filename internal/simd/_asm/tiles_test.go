package main

import (
	"bytes"
	"testing"

	"github.com/mmcloughlin/avo/reg"
)

// The bytes are those of GNU as 2.40. It shortens displacements that have room in a byte, so these have not.
func TestTileEncodings(t *testing.T) {
	const far = 0x1234567
	for _, c := range []struct {
		instruction string
		code, want  []byte
	}{
		{"ldtilecfg (%rdi)", tileConfig(reg.RDI), []byte{0xc4, 0xe2, 0x78, 0x49, 0x07}},
		{"tileloadd 0x1234567(%rax,%rbx,1), %tmm3", tileMemory(prefixF2, 3, reg.RAX, reg.RBX, far), []byte{0xc4, 0xe2, 0x7b, 0x4b, 0x9c, 0x18, 0x67, 0x45, 0x23, 0x01}},
		{"tileloadd 0x1234567(%r11,%r9,1), %tmm4", tileMemory(prefixF2, 4, reg.R11, reg.R9, far), []byte{0xc4, 0x82, 0x7b, 0x4b, 0xa4, 0x0b, 0x67, 0x45, 0x23, 0x01}},
		{"tilestored %tmm2, 0x1234567(%rdx,%r8,1)", tileMemory(prefixF3, 2, reg.RDX, reg.R8, far), []byte{0xc4, 0xa2, 0x7a, 0x4b, 0x94, 0x02, 0x67, 0x45, 0x23, 0x01}},
		{"tdpbf16ps %tmm7, %tmm4, %tmm1", tileDot(1, 4, 7), []byte{0xc4, 0xe2, 0x42, 0x5c, 0xcc}},
		{"tdpbf16ps %tmm6, %tmm5, %tmm2", tileDot(2, 5, 6), []byte{0xc4, 0xe2, 0x4a, 0x5c, 0xd5}},
		{"tilezero %tmm3", tileZero(3), []byte{0xc4, 0xe2, 0x7b, 0x49, 0xd8}},
		{"tilerelease", tileRelease(), []byte{0xc4, 0xe2, 0x78, 0x49, 0xc0}},
	} {
		if !bytes.Equal(c.code, c.want) {
			t.Errorf("%s is encoded as % x, GNU as says % x", c.instruction, c.code, c.want)
		}
	}
}
