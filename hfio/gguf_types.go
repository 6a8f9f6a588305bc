package hfio

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// The block types of GGUF that are read, beside F32, F16 and BF16: a row is cut into
// blocks, whose elements share their scales. A tensor keeps its blocks until
// [Tensor.Float32s]. safetensors knows none of these types.
const (
	Q80 DType = "Q8_0"
	Q40 DType = "Q4_0"
	Q41 DType = "Q4_1"
	Q50 DType = "Q5_0"
	Q51 DType = "Q5_1"
	Q2K DType = "Q2_K"
	Q3K DType = "Q3_K"
	Q4K DType = "Q4_K"
	Q5K DType = "Q5_K"
	Q6K DType = "Q6_K"

	IQ4NL DType = "IQ4_NL"
	IQ4XS DType = "IQ4_XS"
)

// ggufTypes are the types of ggml, by its numbers (enum ggml_type).
var ggufTypes = map[uint32]DType{0: F32, 1: F16, 2: Q40, 3: Q41, 6: Q50, 7: Q51, 8: Q80, 10: Q2K, 11: Q3K, 12: Q4K, 13: Q5K, 14: Q6K, 20: IQ4NL, 23: IQ4XS, 30: BF16}

// ggufOtherTypes are names for errors.
var ggufOtherTypes = map[uint32]string{
	9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
	19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
	29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

func ggufTypeName(kind uint32) string {
	if name, ok := ggufOtherTypes[kind]; ok {
		return "data of type " + name
	}
	return fmt.Sprintf("data of the unknown type %d", kind)
}

func ggufTypeNames() string {
	var names []string
	for _, kind := range slices.Sorted(maps.Keys(ggufTypes)) {
		names = append(names, string(ggufTypes[kind]))
	}
	return strings.Join(names, ", ")
}

// blockType is the layout of a block type.
type blockType struct {
	elements, bytes int
	// decode sets dst, of so many elements, to those of a block.
	decode func(dst []float32, block []byte)
}

// blockTypes holds the layouts of ggml-common.h; the values are those of ggml-quants.c
// and of the Python package gguf, to the bit.
var blockTypes = map[DType]blockType{
	Q80: {32, 34, decodeQ80},
	Q40: {32, 18, decodeQ40},
	Q41: {32, 20, decodeQ41},
	Q50: {32, 22, decodeQ50},
	Q51: {32, 24, decodeQ51},
	Q2K: {256, 84, decodeQ2K},
	Q3K: {256, 110, decodeQ3K},
	Q4K: {256, 144, decodeQ4K},
	Q5K: {256, 176, decodeQ5K},
	Q6K: {256, 210, decodeQ6K},

	IQ4NL: {32, 18, decodeIQ4NL},
	IQ4XS: {256, 136, decodeIQ4XS},
}

// decodeAll decodes whole rows of blocks.
func (b blockType) decodeAll(dst []float32, src []byte) {
	for len(dst) > 0 {
		b.decode(dst[:b.elements], src[:b.bytes])
		dst, src = dst[b.elements:], src[b.bytes:]
	}
}

// Blocks are the elements of a tensor of a block type, which stay as the file has them.
type Blocks struct {
	blockType
	kind DType
	data []byte
}

// Blocks returns the elements of a tensor of a block type, where Check passes.
func (t Tensor) Blocks() (Blocks, bool) {
	kind, ok := blockTypes[t.DType]
	return Blocks{kind, t.DType, t.Data}, ok && t.Check() == nil
}

// Len returns the number of elements.
func (b Blocks) Len() int { return len(b.data) / b.bytes * b.elements }

// Layout returns ggml's name of the type, and the blocks, row by row.
func (b Blocks) Layout() (name string, blocks []byte) { return string(b.kind), b.data }

// Widen sets y to the elements that begin at from.
func (b Blocks) Widen(y []float32, from int) {
	var part [256]float32
	for len(y) > 0 {
		block, skip := b.data[from/b.elements*b.bytes:][:b.bytes], from%b.elements
		n := min(len(y), b.elements-skip)
		if n == b.elements {
			b.decode(y[:n], block)
		} else {
			b.decode(part[:b.elements], block)
			copy(y[:n], part[skip:])
		}
		y, from = y[n:], from+n
	}
}

// half reads a float16. Products below are rounded before they are added, as in the
// reference, which float32() asks of the compiler.
func half(b []byte) float32 { return math.Float32frombits(float16To32(le.Uint16(b))) }

// decodeQ80 reads d, 32 x int8.
func decodeQ80(dst []float32, block []byte) {
	d := half(block)
	for i, q := range block[2:] {
		dst[i] = float32(int8(q)) * d
	}
}

// decodeQ40 reads d, 16 bytes of which the low halves are the first 16 elements.
func decodeQ40(dst []float32, block []byte) {
	d := half(block)
	for i, q := range block[2:] {
		dst[i] = d * float32(int(q&0xf)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

// decodeQ41 reads d, m, then as decodeQ40.
func decodeQ41(dst []float32, block []byte) {
	d, m := half(block), half(block[2:])
	for i, q := range block[4:] {
		dst[i] = float32(d*float32(q&0xf)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

// decodeQ50 reads d, 32 fifth bits, then as decodeQ40.
func decodeQ50(dst []float32, block []byte) {
	d, fifth := half(block), le.Uint32(block[2:])
	for i, q := range block[6:] {
		dst[i] = d * float32(int(uint32(q&0xf)|fifth>>i<<4&0x10)-16)
		dst[i+16] = d * float32(int(uint32(q>>4)|fifth>>(i+16)<<4&0x10)-16)
	}
}

// decodeQ51 reads d, m, 32 fifth bits, then as decodeQ40.
func decodeQ51(dst []float32, block []byte) {
	d, m, fifth := half(block), half(block[2:]), le.Uint32(block[4:])
	for i, q := range block[8:] {
		dst[i] = float32(d*float32(uint32(q&0xf)|fifth>>i<<4&0x10)) + m
		dst[i+16] = float32(d*float32(uint32(q>>4)|fifth>>(i+16)<<4&0x10)) + m
	}
}

// decodeQ2K reads 16 bytes of a scale and a minimum, 64 bytes of elements, d, dmin. A
// half of the block is 4 sub-blocks of 32, which lie above each other in 32 bytes.
func decodeQ2K(dst []float32, block []byte) {
	scales, quants, d, dmin := block[:16], block[16:80], half(block[80:]), half(block[82:])
	for i := range dst {
		of, sub, at := i/128, i/32%4, i%32
		q, scale := quants[32*of+at]>>(2*sub)&3, scales[i/16]
		dl, ml := d*float32(scale&0xf), dmin*float32(scale>>4)
		dst[i] = float32(dl*float32(q)) - ml
	}
}

// decodeQ3K reads 32 bytes of third bits, 64 bytes of lower bits as those of decodeQ2K,
// 16 scales of 6 bits in 12 bytes, d.
func decodeQ3K(dst []float32, block []byte) {
	third, low, scales, d := block[:32], block[32:96], block[96:108], half(block[108:])
	for i := range dst {
		of, sub, at, s := i/128, i/32%4, i%32, i/16
		q := low[32*of+at]>>(2*sub)&3 | third[at]>>(i/32)&1<<2
		scale := scales[s%8]>>(4*(s/8))&0xf | scales[8+s%4]>>(2*(s/4))&3<<4
		dst[i] = d * float32(int(scale)-32) * float32(int(q)-4)
	}
}

// decodeQ4K reads d, dmin, 8 scales and 8 minima of 6 bits in 12 bytes, and 4 runs of
// 32 bytes, whose low halves are one sub-block of 32 and whose high halves the next.
func decodeQ4K(dst []float32, block []byte) {
	decodeWithMinima(dst, block[:16], noBits[:], block[16:])
}

// noBits are the fifth bits of a block that has none.
var noBits [32]byte

// decodeQ5K reads what decodeQ4K reads, but that before the 4 runs there are 32 bytes of
// fifth bits: of byte i for element i of each sub-block, the first for the first.
func decodeQ5K(dst []float32, block []byte) {
	decodeWithMinima(dst, block[:16], block[16:48], block[48:])
}

func decodeWithMinima(dst []float32, scales, fifth, quants []byte) {
	d, dmin, packed := half(scales), half(scales[2:]), scales[4:]
	for sub := range 8 {
		scale, least := scaleAndMinimum(packed, sub)
		dl, ml := d*float32(scale), dmin*float32(least)
		shift := 4 * (sub % 2)
		for i, q := range quants[32*(sub/2):][:32] {
			dst[32*sub+i] = float32(dl*float32(q>>shift&0xf|fifth[i]>>sub&1<<4)) - ml
		}
	}
}

// scaleAndMinimum returns one of the 8 pairs: get_scale_min_k4 of ggml.
func scaleAndMinimum(packed []byte, sub int) (scale, least byte) {
	if sub < 4 {
		return packed[sub] & 63, packed[sub+4] & 63
	}
	return packed[sub+4]&0xf | packed[sub-4]>>6<<4, packed[sub+4]>>4 | packed[sub]>>6<<4
}

// decodeQ6K reads 128 bytes of low halves, 64 bytes of two high bits, 16 scales of
// int8, d. A half of the block is 4 sub-blocks of 32.
func decodeQ6K(dst []float32, block []byte) {
	low, high, scales, d := block[:128], block[128:192], block[192:208], half(block[208:])
	for i := range dst {
		of, sub, at := i/128, i/32%4, i%32
		l := low[64*of+32*(sub%2)+at] >> (4 * (sub / 2)) & 0xf
		h := high[32*of+at] >> (2 * sub) & 3
		scale := d * float32(int8(scales[i/16]))
		dst[i] = scale * float32(int(l|h<<4)-32)
	}
}

// unevenValues are what 4 bits of decodeIQ4NL and decodeIQ4XS stand for: kvalues_iq4nl of ggml.
var unevenValues = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// decodeIQ4NL reads d, then as decodeQ40.
func decodeIQ4NL(dst []float32, block []byte) {
	decodeUneven(dst, half(block), block[2:])
}

func decodeUneven(dst []float32, d float32, quants []byte) {
	for i, q := range quants {
		dst[i] = d * unevenValues[q&0xf]
		dst[i+16] = d * unevenValues[q>>4]
	}
}

// decodeIQ4XS reads d, the upper 2 bits of 8 scales in 2 bytes and their lower 4 bits in 4
// bytes, and 8 sub-blocks of 32 as those of decodeIQ4NL.
func decodeIQ4XS(dst []float32, block []byte) {
	d, high, low, quants := half(block), le.Uint16(block[2:]), block[4:8], block[8:]
	for sub := range 8 {
		scale := low[sub/2]>>(4*(sub%2))&0xf | byte(high>>(2*sub)&3)<<4
		decodeUneven(dst[32*sub:], d*float32(int(scale)-32), quants[16*sub:][:16])
	}
}
