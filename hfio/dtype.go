package hfio

// DType is the type of a tensor's elements, under the name safetensors gives it.
type DType string

// Every dtype of the safetensors format, in the format's own ascending order.
const (
	Bool       DType = "BOOL"
	F4         DType = "F4"
	F6E2M3     DType = "F6_E2M3"
	F6E3M2     DType = "F6_E3M2"
	U8         DType = "U8"
	I8         DType = "I8"
	F8E5M2     DType = "F8_E5M2"
	F8E4M3     DType = "F8_E4M3"
	F8E8M0     DType = "F8_E8M0"
	F8E4M3FNUZ DType = "F8_E4M3FNUZ"
	F8E5M2FNUZ DType = "F8_E5M2FNUZ"
	I16        DType = "I16"
	U16        DType = "U16"
	F16        DType = "F16"
	BF16       DType = "BF16"
	I32        DType = "I32"
	U32        DType = "U32"
	F32        DType = "F32"
	C64        DType = "C64"
	F64        DType = "F64"
	I64        DType = "I64"
	U64        DType = "U64"
)

// dtypeOrder gives the place of each dtype in the format's enumeration. A file
// holds its tensors in descending order of it, so that all are aligned.
// Source: huggingface/safetensors, safetensors/src/tensor.rs, enum Dtype.
var dtypeOrder = map[DType]int{
	Bool: 0, F4: 1, F6E2M3: 2, F6E3M2: 3, U8: 4, I8: 5, F8E5M2: 6, F8E4M3: 7,
	F8E8M0: 8, F8E4M3FNUZ: 9, F8E5M2FNUZ: 10, I16: 11, U16: 12, F16: 13, BF16: 14,
	I32: 15, U32: 16, F32: 17, C64: 18, F64: 19, I64: 20, U64: 21,
}

// Bits returns the size of one element in bits, 0 for an unknown dtype.
func (d DType) Bits() int {
	switch d {
	case F4:
		return 4
	case F6E2M3, F6E3M2:
		return 6
	case Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0, F8E4M3FNUZ, F8E5M2FNUZ:
		return 8
	case I16, U16, F16, BF16:
		return 16
	case I32, U32, F32:
		return 32
	case C64, F64, I64, U64:
		return 64
	}
	return 0
}

// Valid tells whether the format knows the dtype.
func (d DType) Valid() bool { return d.Bits() != 0 }

// known tells whether a tensor may have the dtype: one of safetensors or of GGUF's blocks.
func (d DType) known() bool {
	_, inBlocks := blockTypes[d]
	return inBlocks || d.Valid()
}
