package hfio

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unsafe"
)

// Tensor is a named array as a file holds it.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // empty: a scalar
	// Data holds the elements in row-major order, little-endian. It may be a view
	// of a mapped file: it must never be written, and is gone once the file is closed.
	Data []byte
}

// NewFloat32 makes an F32 tensor of values, which it copies. The caller sees to
// it that the shape fits; [Tensor.Check] tells.
func NewFloat32(name string, shape []int, values []float32) Tensor {
	data := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return Tensor{Name: name, DType: F32, Shape: slices.Clone(shape), Data: data}
}

// Size returns the number of elements, 1 for a scalar. It is only meaningful for
// a tensor that passes [Tensor.Check], as all tensors read by this package do.
func (t Tensor) Size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Check tells whether dtype, shape and data fit each other: nil, or a
// [TensorError] of ErrDType or ErrShape.
func (t Tensor) Check() error {
	if !t.DType.known() {
		return &TensorError{Name: t.Name, Err: &Mismatch{fmt.Sprintf("dtype %q", t.DType), "a dtype of safetensors", ErrDType}}
	}
	size, ok := byteSize(t.DType, t.Shape)
	if !ok {
		return &TensorError{Name: t.Name, Err: &Mismatch{
			"shape " + shapeString(t.Shape), "a shape whose size in bytes is whole and can be counted", ErrShape,
		}}
	}
	if size != len(t.Data) {
		return &TensorError{Name: t.Name, Err: &Mismatch{
			fmt.Sprintf("%d bytes of data", len(t.Data)),
			fmt.Sprintf("%d for shape %s of %s", size, shapeString(t.Shape), t.DType), ErrShape,
		}}
	}
	return nil
}

// Clone returns a tensor with data of its own, which outlives the file.
func (t Tensor) Clone() Tensor {
	t.Shape, t.Data = slices.Clone(t.Shape), append([]byte{}, t.Data...)
	return t
}

// Float32s returns the elements of an F64, F32, F16 or BF16 tensor, or of one of a
// block type, which is dequantised. F64 is rounded to nearest even. For F32 the result is a view of Data where that is
// aligned (and the machine little-endian): read only, as Data is.
func (t Tensor) Float32s() ([]float32, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if t.DType == F32 {
		if view, ok := inPlace[float32](t.Data); ok {
			return view, nil
		}
	}
	decode, err := float32Decoder(t)
	if err != nil {
		return nil, err
	}
	values := make([]float32, t.Size())
	decode(values, t.Data)
	return values, nil
}

// shapeString prints a shape as people write it: [20 768].
func shapeString(shape []int) string {
	return strings.TrimSpace(fmt.Sprint(shape))
}

// byteSize returns the bytes that a tensor of shape takes. It multiplies in order
// and reports an overflow even where a later dimension is 0, as the reference does;
// ok is also false for a negative dimension, for a total that is no whole byte and for
// rows that are not whole blocks.
func byteSize(dt DType, shape []int) (size int, ok bool) {
	n := uint64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 {
			return 0, false
		}
		n = lo
	}
	width := dt.Bits()
	if block, ok := blockTypes[dt]; ok {
		if len(shape) == 0 || shape[len(shape)-1]%block.elements != 0 {
			return 0, false
		}
		n, width = n/uint64(block.elements), 8*block.bytes
	}
	hi, total := bits.Mul64(n, uint64(width))
	if hi != 0 || total%8 != 0 || total/8 > math.MaxInt {
		return 0, false
	}
	return int(total / 8), true
}

// Words returns the elements of a tensor of 16 bits in place, where Check passes and the
// data can be read so; see [inPlace].
func (t Tensor) Words() ([]uint16, bool) {
	if t.DType.Bits() != 16 || t.Check() != nil {
		return nil, false
	}
	return inPlace[uint16](t.Data)
}

// littleEndian tells whether this machine keeps numbers as the files do.
var littleEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()

// inPlace reinterprets data. It refuses to on a machine of another byte order, and data
// that is not aligned, which files by older writers hold.
func inPlace[T uint16 | float32](data []byte) ([]T, bool) {
	if len(data) == 0 {
		return []T{}, true
	}
	var one T
	start := unsafe.Pointer(unsafe.SliceData(data))
	if !littleEndian || uintptr(start)%unsafe.Alignof(one) != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(start), len(data)/int(unsafe.Sizeof(one))), true
}
