package hfio

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// EncodeTorch returns the file that torch 2.15 saves for a dict of names to these
// tensors, in their order, byte for byte, if the file is called adapter_model.bin
// (the name is inside) and no two tensors share memory: what PEFT writes with
// safe_serialization=False. torch.load reads it, with weights_only too.
//
// Dtypes without a storage class of their own in torch (the unsigned ones but
// U8, the 8-bit floats) and files of 4 GiB and more are refused.
func EncodeTorch(tensors []Tensor) ([]byte, error) {
	if err := checkTorchWritable(tensors); err != nil {
		return nil, err
	}
	z := torchZip{prefix: "adapter_model/"}
	z.add("data.pkl", pickleTensors(tensors))
	z.add(".format_version", []byte("1"))
	z.add(".storage_alignment", []byte("64"))
	z.add("byteorder", []byte("little"))
	for i, t := range tensors {
		z.add("data/"+strconv.Itoa(i), t.Data)
	}
	z.add("version", []byte("3\n"))
	z.add(".data/serialization_id", z.serialisationID())
	return z.finish(), nil
}

// torchStorageClass names the storage class of a dtype.
var torchStorageClass = map[DType]string{
	F64: "DoubleStorage", F32: "FloatStorage", F16: "HalfStorage", BF16: "BFloat16Storage",
	I64: "LongStorage", I32: "IntStorage", I16: "ShortStorage", I8: "CharStorage", U8: "ByteStorage",
	Bool: "BoolStorage", C64: "ComplexFloatStorage",
}

func checkTorchWritable(tensors []Tensor) error {
	var found problems
	total := 0
	names := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		if names[t.Name] {
			found.add(&TensorError{Name: t.Name, Err: fmt.Errorf("%w: two tensors of that name", ErrValue)})
		}
		names[t.Name] = true
		if !utf8.ValidString(t.Name) {
			found.add(&TensorError{Name: t.Name, Err: fmt.Errorf("%w: the name is not UTF-8", ErrValue)})
		}
		if t.DType.known() && torchStorageClass[t.DType] == "" {
			found.add(&TensorError{Name: t.Name, Err: &Mismatch{"dtype " + string(t.DType), "one that torch has a storage class for", ErrDType}})
		}
		found.add(t.Check())
		// A name stands in the pickle, an entry's name three times in the zip.
		if total += len(t.Data) + len(t.Name) + 1024; total > math.MaxUint32 {
			found.add(fmt.Errorf("%w: a torch file of 4 GiB or more", ErrUnsupported))
			break
		}
	}
	return found.err()
}
