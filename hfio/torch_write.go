package hfio

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// EncodeTorch returns a file that torch.load reads, with weights_only too: a dict
// of names to tensors in the order given, in torch's zip layout with storages
// aligned to 64 bytes, as PEFT writes with safe_serialization=False.
func EncodeTorch(tensors []Tensor) ([]byte, error) {
	if err := checkTorchWritable(tensors); err != nil {
		return nil, err
	}
	w := newTorchZip("adapter_model")
	w.add("data.pkl", pickleTensors(tensors))
	w.add("byteorder", []byte("little"))
	for i, t := range tensors {
		w.add("data/"+strconv.Itoa(i), t.Data)
	}
	w.add("version", []byte("3\n"))
	return w.bytes()
}

// torchStorageClass names the storage class of a dtype; torch has none for the
// others, which it saves in another way.
var torchStorageClass = map[DType]string{
	F64: "DoubleStorage", F32: "FloatStorage", F16: "HalfStorage", BF16: "BFloat16Storage",
	I64: "LongStorage", I32: "IntStorage", I16: "ShortStorage", I8: "CharStorage", U8: "ByteStorage",
	Bool: "BoolStorage", C64: "ComplexFloatStorage",
}

func checkTorchWritable(tensors []Tensor) error {
	var found problems
	names := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		if names[t.Name] {
			found.add(&TensorError{Name: t.Name, Err: fmt.Errorf("%w: two tensors of that name", ErrValue)})
		}
		names[t.Name] = true
		if !utf8.ValidString(t.Name) {
			found.add(&TensorError{Name: t.Name, Err: fmt.Errorf("%w: the name is not UTF-8", ErrValue)})
		}
		if t.DType.Valid() && torchStorageClass[t.DType] == "" {
			found.add(&TensorError{Name: t.Name, Err: &Mismatch{"dtype " + string(t.DType), "one that torch has a storage class for", ErrDType}})
		}
		found.add(t.Check())
	}
	return found.err()
}

// torchZip writes the archive.
type torchZip struct {
	prefix string
	buffer bytes.Buffer
	writer *zip.Writer
	err    error
}

func newTorchZip(prefix string) *torchZip {
	z := &torchZip{prefix: prefix + "/"}
	z.writer = zip.NewWriter(&z.buffer)
	return z
}

func (z *torchZip) add(name string, data []byte) {
	if z.err != nil {
		return
	}
	w, err := z.writer.CreateHeader(&zip.FileHeader{Name: z.prefix + name, Method: zip.Store})
	if err == nil {
		_, err = w.Write(data)
	}
	z.err = err
}

func (z *torchZip) bytes() ([]byte, error) {
	if z.err == nil {
		z.err = z.writer.Close()
	}
	return z.buffer.Bytes(), z.err
}
