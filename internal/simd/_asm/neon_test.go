package main

import (
	"fmt"
	"strings"
	"testing"
)

// assembled holds instructions and their words by GNU as 2.40 (aarch64-linux-gnu-as), of registers whose numbers have bits in
// every place: 21, 10 and 31.
var assembled = map[string]uint32{
	"fadd v21.4s, v10.4s, v31.4s":   0x4e3fd555,
	"fadd v21.2d, v10.2d, v31.2d":   0x4e7fd555,
	"fsub v21.4s, v10.4s, v31.4s":   0x4ebfd555,
	"fmul v21.4s, v10.4s, v31.4s":   0x6e3fdd55,
	"fdiv v21.4s, v10.4s, v31.4s":   0x6e3ffd55,
	"fmla v21.4s, v10.4s, v31.4s":   0x4e3fcd55,
	"fmla v21.2d, v10.2d, v31.2d":   0x4e7fcd55,
	"fmls v21.4s, v10.4s, v31.4s":   0x4ebfcd55,
	"fmax v21.4s, v10.4s, v31.4s":   0x4e3ff555,
	"fmin v21.4s, v10.4s, v31.4s":   0x4ebff555,
	"fmaxnm v21.4s, v10.4s, v31.4s": 0x4e3fc555,
	"fcmeq v21.4s, v10.4s, v31.4s":  0x4e3fe555,
	"fcmge v21.4s, v10.4s, v31.4s":  0x6e3fe555,
	"fcmgt v21.4s, v10.4s, v31.4s":  0x6ebfe555,
	"add v21.4s, v10.4s, v31.4s":    0x4ebf8555,
	"sub v21.4s, v10.4s, v31.4s":    0x6ebf8555,
	"umax v21.4s, v10.4s, v31.4s":   0x6ebf6555,
	"and v21.16b, v10.16b, v31.16b": 0x4e3f1d55,
	"bic v21.16b, v10.16b, v31.16b": 0x4e7f1d55,
	"orr v21.16b, v10.16b, v31.16b": 0x4ebf1d55,
	"eor v21.16b, v10.16b, v31.16b": 0x6e3f1d55,
	"bsl v21.16b, v10.16b, v31.16b": 0x6e7f1d55,
	"bit v21.16b, v10.16b, v31.16b": 0x6ebf1d55,
	"bif v21.16b, v10.16b, v31.16b": 0x6eff1d55,
	"trn1 v21.4s, v10.4s, v31.4s":   0x4e9f2955,
	"trn2 v21.4s, v10.4s, v31.4s":   0x4e9f6955,
	"zip1 v21.2d, v10.2d, v31.2d":   0x4edf3955,
	"zip2 v21.2d, v10.2d, v31.2d":   0x4edf7955,
	"zip1 v21.8h, v10.8h, v31.8h":   0x4e5f3955,
	"zip2 v21.8h, v10.8h, v31.8h":   0x4e5f7955,
	"uzp2 v21.8h, v10.8h, v31.8h":   0x4e5f5955,
	"fneg v21.4s, v10.4s":           0x6ea0f955,
	"fabs v21.4s, v10.4s":           0x4ea0f955,
	"fsqrt v21.4s, v10.4s":          0x6ea1f955,
	"fcvtns v21.4s, v10.4s":         0x4e21a955,
	"scvtf v21.4s, v10.4s":          0x4e21d955,
	"fcvtl v21.4s, v10.4h":          0x0e217955,
	"fcvtl2 v21.4s, v10.8h":         0x4e217955,
	"fcvtl v21.2d, v10.2s":          0x0e617955,
	"fcvtl2 v21.2d, v10.4s":         0x4e617955,
	"shll v21.4s, v10.4h, #16":      0x2e613955,
	"shll2 v21.4s, v10.8h, #16":     0x6e613955,
	"fmaxnmv s21, v10.4s":           0x6e30c955,
	"umaxv s21, v10.4s":             0x6eb0a955,
	"faddp d21, v10.2d":             0x7e70d955,
	"dup v21.4s, v10.s[0]":          0x4e040555,
	"fmla v21.4s, v10.4s, v31.s[0]": 0x4f9f1155,
	"fmla v21.4s, v10.4s, v31.s[1]": 0x4fbf1155,
	"fmla v21.4s, v10.4s, v31.s[2]": 0x4f9f1955,
	"fmla v21.4s, v10.4s, v31.s[3]": 0x4fbf1955,
	"shl v21.4s, v10.4s, #1":        0x4f215555,
	"shl v21.4s, v10.4s, #23":       0x4f375555,
	"shl v21.4s, v10.4s, #31":       0x4f3f5555,
	"sshr v21.4s, v10.4s, #1":       0x4f3f0555,
	"sshr v21.4s, v10.4s, #16":      0x4f300555,
	"sshr v21.4s, v10.4s, #32":      0x4f200555,
	"ushr v21.4s, v10.4s, #1":       0x6f3f0555,
	"ushr v21.4s, v10.4s, #16":      0x6f300555,
	"ushr v21.4s, v10.4s, #32":      0x6f200555,
}

func TestEncodings(t *testing.T) {
	registers, compared := []int{21, 10, 31}, 0
	check := func(instruction string, word uint32) {
		want, ok := assembled[instruction]
		if !ok || word != want {
			t.Errorf("%s is encoded as %#08x, GNU as says %#08x (known: %v)", instruction, word, want, ok)
		}
		compared++
	}
	for form := range encodings {
		operands := registers[:strings.Count(form, "%")]
		check(written(form, operands...), encode(form, operands...))
	}
	for lane := range 4 {
		check(fmt.Sprintf("fmla v21.4s, v10.4s, v31.s[%d]", lane), encodeMultiplyElement(21, 10, 31, lane))
	}
	for name, numbers := range map[string][]int{"shl": {1, 23, 31}, "sshr": {1, 16, 32}, "ushr": {1, 16, 32}} {
		for _, by := range numbers {
			check(fmt.Sprintf("%s v21.4s, v10.4s, #%d", name, by), encodeShift(name, 21, 10, by))
		}
	}
	if compared != len(assembled) {
		t.Errorf("%d of %d instructions were compared", compared, len(assembled))
	}
}
