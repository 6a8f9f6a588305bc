package hfio

import (
	"encoding/binary"
	"fmt"
	"math"
)

var le = binary.LittleEndian

// Convert returns the tensor in another float dtype, of F64, F32, F16 and BF16; one of a
// block type is dequantised first.
// Values are rounded to nearest, ties to even, in one step from the source, and
// overflow to infinity: what torch's Tensor.to does. Where the dtype is the
// wanted one already the same tensor, sharing its data, is returned.
func (t Tensor) Convert(dt DType) (Tensor, error) {
	if err := t.Check(); err != nil {
		return Tensor{}, err
	}
	if t.DType == dt {
		return t, nil
	}
	if _, inBlocks := blockTypes[t.DType]; inBlocks {
		values, err := t.Float32s()
		if err != nil {
			return Tensor{}, err
		}
		return NewFloat32(t.Name, t.Shape, values).Convert(dt)
	}
	load, err := float64Loader(t)
	if err != nil {
		return Tensor{}, err
	}
	store, err := float64Storer(t.Name, dt)
	if err != nil {
		return Tensor{}, err
	}
	n, from, to := t.Size(), t.DType.Bits()/8, dt.Bits()/8
	data := make([]byte, n*to)
	for i := range n {
		store(data[i*to:], load(t.Data[i*from:]))
	}
	return Tensor{Name: t.Name, DType: dt, Shape: append([]int{}, t.Shape...), Data: data}, nil
}

// float32Decoder returns the loop that reads elements of the tensor's dtype.
func float32Decoder(t Tensor) (func(dst []float32, src []byte), error) {
	switch t.DType {
	case F64:
		return func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = float32(math.Float64frombits(le.Uint64(src[8*i:])))
			}
		}, nil
	case F32:
		return func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
			}
		}, nil
	case F16:
		return func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(float16To32(le.Uint16(src[2*i:])))
			}
		}, nil
	case BF16:
		return func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
			}
		}, nil
	}
	if block, ok := blockTypes[t.DType]; ok {
		return block.decodeAll, nil
	}
	return nil, notFloat(t.Name, t.DType)
}

// float64Loader returns the function that reads one element exactly: every value
// of the four dtypes is a float64.
func float64Loader(t Tensor) (func([]byte) float64, error) {
	switch t.DType {
	case F64:
		return func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }, nil
	case F32:
		return func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }, nil
	case F16:
		return func(b []byte) float64 { return float64(math.Float32frombits(float16To32(le.Uint16(b)))) }, nil
	case BF16:
		return func(b []byte) float64 { return float64(math.Float32frombits(uint32(le.Uint16(b)) << 16)) }, nil
	}
	return nil, notFloat(t.Name, t.DType)
}

// float64Storer returns the function that rounds and writes one element.
//
// From F64 torch goes to half precision through float32, which rounds twice; the
// same is done here, since the bytes must agree.
func float64Storer(name string, dt DType) (func([]byte, float64), error) {
	switch dt {
	case F64:
		return func(b []byte, v float64) { le.PutUint64(b, math.Float64bits(v)) }, nil
	case F32:
		return func(b []byte, v float64) { le.PutUint32(b, math.Float32bits(float32(v))) }, nil
	case F16:
		return func(b []byte, v float64) { le.PutUint16(b, float16From32(math.Float32bits(float32(v)))) }, nil
	case BF16:
		return func(b []byte, v float64) { le.PutUint16(b, bfloat16From32(math.Float32bits(float32(v)))) }, nil
	}
	return nil, notFloat(name, dt)
}

func notFloat(name string, dt DType) error {
	return &TensorError{Name: name, Err: &Mismatch{fmt.Sprintf("dtype %s", dt), "F64, F32, F16 or BF16", ErrDType}}
}

// float16To32 widens the bits of an IEEE half to those of a float32, exactly;
// the payload of a NaN moves to the top of the wider mantissa.
func float16To32(h uint16) uint32 {
	sign := uint32(h&0x8000) << 16
	exponent := uint32(h>>10) & 0x1f
	mantissa := uint32(h) & 0x3ff
	switch {
	case exponent == 0x1f: // infinity, NaN
		return sign | 0x7f800000 | mantissa<<13
	case exponent != 0:
		return sign | (exponent+127-15)<<23 | mantissa<<13
	case mantissa == 0:
		return sign
	}
	// A subnormal is mantissa · 2^-24, which a float32 holds as a normal number.
	return sign | math.Float32bits(float32(mantissa)*0x1p-24)
}

// float16From32 rounds the bits of a float32 to an IEEE half, to nearest even.
func float16From32(f uint32) uint16 {
	sign := uint16(f>>16) & 0x8000
	magnitude := f & 0x7fffffff
	switch {
	case magnitude > 0x7f800000:
		// torch makes every NaN quiet and keeps the top bits of its payload.
		return sign | 0x7e00 | uint16(magnitude>>13)&0x3ff
	case magnitude >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case magnitude < 0x38800000: // below 2^-14: the result is subnormal
		// Adding 0.5 puts the half's last place at the float32's last place, so the
		// addition itself rounds to nearest even.
		sum := math.Float32frombits(magnitude) + 0.5
		return sign | uint16(math.Float32bits(sum)-0x3f000000)
	}
	magnitude += 0xfff + magnitude>>13&1
	return sign | uint16((magnitude-(127-15)<<23)>>13)
}

// bfloat16From32 rounds the bits of a float32 to a bfloat16, to nearest even.
func bfloat16From32(f uint32) uint16 {
	if f&0x7fffffff > 0x7f800000 {
		return 0x7fc0 // torch has one NaN
	}
	return uint16((f + 0x7fff + f>>16&1) >> 16)
}
