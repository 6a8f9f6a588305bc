package hfio

import (
	"fmt"
	"io/fs"
	"math/bits"
)

// GGUF is a file of llama.cpp: a model with its tokenizer.
// Source: ggml-org/ggml, docs/gguf.md and src/gguf.cpp.
type GGUF struct {
	Version int
	// Metadata holds int64, float64, bool, string, and slices of these. A float of 32
	// bits is its nearest float64.
	Metadata map[string]any
	// Tensors have the names and shapes of the file, the shapes in torch's order (ggml
	// gives the fastest dimension first).
	Tensors []Tensor

	file *contents
}

// Limits of ggml: GGML_MAX_DIMS, and the alignment where the metadata gives none.
const (
	ggufMaxDims          = 4
	ggufDefaultAlignment = 32
)

// OpenGGUF reads a file's header and maps its data. Versions 2 and 3 are read. All is
// checked before anything is allocated for it: lengths, unique names, known types,
// shapes that fit their blocks, data in the place where ggml wants it.
func OpenGGUF(fsys fs.FS, name string, opts *OpenOptions) (*GGUF, error) {
	file, err := opts.open(fsys, name)
	if err != nil {
		return nil, err
	}
	g, err := ParseGGUF(fileName(fsys, name), file.data)
	if err != nil {
		_ = file.close()
		return nil, err
	}
	g.file = file
	return g, nil
}

// ParseGGUF reads a file held in memory; its tensors are views of data. The file's
// name is for the errors.
func ParseGGUF(file string, data []byte) (*GGUF, error) {
	r := &ggufReader{file: file, data: data}
	g := &GGUF{}
	tensors, pairs := r.start(g)
	g.Metadata = r.metadata(pairs)
	infos := r.infos(tensors)
	if r.err != nil {
		return nil, r.err
	}
	body, alignment, err := r.body(g.Metadata)
	if err != nil {
		return nil, err
	}
	return g, g.place(file, infos, body, alignment)
}

// Close unmaps the file. The data of its tensors, and every view of it, must not be
// used any more.
func (g *GGUF) Close() error {
	if g == nil || g.file == nil {
		return nil
	}
	file := g.file
	g.file, g.Tensors = nil, nil
	return file.close()
}

// ggufInfo is what the header says of a tensor.
type ggufInfo struct {
	name   string
	shape  []int
	kind   uint32
	offset uint64
}

// place gives each tensor its bytes. As in ggml, they stand in the order of the
// header, each at the next multiple of the alignment.
func (g *GGUF) place(file string, infos []ggufInfo, body []byte, alignment uint64) error {
	var found problems
	seen := map[string]bool{}
	at := uint64(0)
	for _, info := range infos {
		t, err := info.tensor(body, at)
		if err == nil && seen[info.name] {
			err = fmt.Errorf("%w: the name is there twice", ErrFormat)
		}
		if err != nil {
			found.add(&TensorError{File: file, Name: info.name, Err: err})
		}
		seen[info.name] = true
		g.Tensors = append(g.Tensors, t)
		at = roundUp(info.offset+uint64(len(t.Data)), alignment)
	}
	return found.err()
}

// tensor returns the tensor, whose data should start at the given offset.
func (i *ggufInfo) tensor(body []byte, start uint64) (Tensor, error) {
	t := Tensor{Name: i.name, Shape: i.shape}
	dtype, known := ggufTypes[i.kind]
	if !known {
		return t, fmt.Errorf("%w: found %s, want %s", ErrUnsupported, ggufTypeName(i.kind), ggufTypeNames())
	}
	t.DType = dtype
	size, ok := byteSize(dtype, i.shape)
	switch {
	case !ok:
		return t, &Mismatch{
			fmt.Sprintf("shape %s of %s", shapeString(i.shape), dtype), "rows of whole blocks, and a size that can be counted", ErrShape,
		}
	case i.offset != start:
		return t, fmt.Errorf("%w: its data start at %d, want %d, behind the tensor before", ErrFormat, i.offset, start)
	}
	if end, carry := bits.Add64(i.offset, uint64(size), 0); carry != 0 || end > uint64(len(body)) {
		return t, fmt.Errorf("%w: %d bytes at %d in %d bytes of data", ErrFormat, size, i.offset, len(body))
	}
	end := i.offset + uint64(size)
	t.Data = body[i.offset:end:end]
	return t, nil
}

// roundUp returns the next multiple of a power of two.
func roundUp(n, alignment uint64) uint64 { return (n + alignment - 1) &^ (alignment - 1) }
