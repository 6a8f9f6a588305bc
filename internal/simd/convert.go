package simd

import (
	"math"
	"unsafe"
)

// RoundBFloat16 sets y to x rounded to bfloat16, ties to even; NaN stays NaN.
func RoundBFloat16(y []uint16, x []float32) {
	sameLength("RoundBFloat16", len(y), len(x))
	whole := len(x) &^ 15
	active.roundBFloat16(y[:whole], x[:whole])
	roundBFloat16Generic(y[whole:], x[whole:])
}

// pairWords sets y to pairs of x and z, x in the lower half.
func pairWords(y []uint32, x, z []uint16) {
	whole := len(x) &^ 15
	active.pairWords(y[:whole], x[:whole], z[:whole])
	pairWordsGeneric(y[whole:], x[whole:], z[whole:])
}

// WidenBFloat16 sets y to x, which is exact.
func WidenBFloat16(y []float32, x []uint16) {
	sameLength("WidenBFloat16", len(y), len(x))
	whole := len(x) &^ 15
	active.widenBFloat16(y[:whole], x[:whole])
	widenBFloat16Generic(y[whole:], x[whole:])
}

// WidenFloat16 sets y to x, which is exact.
func WidenFloat16(y []float32, x []uint16) {
	sameLength("WidenFloat16", len(y), len(x))
	whole := len(x) &^ 15
	active.widenFloat16(y[:whole], x[:whole])
	widenFloat16Generic(y[whole:], x[whole:])
}

func roundOne(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func roundBFloat16Generic(y []uint16, x []float32) {
	for i, v := range x {
		y[i] = roundOne(v)
	}
}

func pairWordsGeneric(y []uint32, x, z []uint16) {
	for i, v := range x {
		y[i] = uint32(z[i])<<16 | uint32(v)
	}
}

func widenBFloat16Generic(y []float32, x []uint16) {
	for i, v := range x {
		y[i] = math.Float32frombits(uint32(v) << 16)
	}
}

func widenFloat16Generic(y []float32, x []uint16) {
	for i, v := range x {
		y[i] = widenFloat16One(v)
	}
}

// widenFloat16One returns the value of an IEEE 754 half: 1 sign, 5 exponent, 10 fraction bits.
func widenFloat16One(v uint16) float32 {
	sign, exponent, fraction := uint32(v&0x8000)<<16, uint32(v>>10&31), uint32(v&0x3ff)
	switch exponent {
	case 0: // subnormal: fraction·2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31:
		if fraction != 0 {
			fraction |= 0x200 // a quiet NaN, as the hardware makes it
		}
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// bits is the memory of x as words of 32 bits.
func bits(x []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// words is the memory of x as words of 16 bits, the lower one of a value first.
func words(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}
