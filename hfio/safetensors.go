package hfio

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
)

// SafeTensors is a safetensors file.
type SafeTensors struct {
	Metadata map[string]string // nil: the file has none
	Tensors  []Tensor          // in the order of their data

	index map[string]int
	file  *contents
}

// maxHeader is the format's own limit of the JSON header.
const maxHeader = 100_000_000

// OpenSafeTensors reads a file's header and maps its data, which costs no memory
// until it is used. Close gives the mapping back.
//
// Everything the format asks for is checked before anything is allocated for a
// tensor: the header's length, unique names, known dtypes, shapes that fit their
// bytes, data without overlap, hole or rest. It is stricter than the reference in
// one point: of two tensors of one name the reference keeps the last, silently.
func OpenSafeTensors(fsys fs.FS, name string, opts *OpenOptions) (*SafeTensors, error) {
	file, err := opts.open(fsys, name)
	if err != nil {
		return nil, err
	}
	s, err := parseSafeTensors(fileName(fsys, name), file.data)
	if err != nil {
		_ = file.close()
		return nil, err
	}
	s.file = file
	return s, nil
}

// ParseSafeTensors reads a file held in memory; its tensors are views of data.
// The file's name is for the errors.
func ParseSafeTensors(file string, data []byte) (*SafeTensors, error) {
	return parseSafeTensors(file, data)
}

// Tensor returns the tensor of that name.
func (s *SafeTensors) Tensor(name string) (Tensor, bool) {
	if s.index == nil {
		for _, t := range s.Tensors {
			if t.Name == name {
				return t, true
			}
		}
		return Tensor{}, false
	}
	i, ok := s.index[name]
	if !ok {
		return Tensor{}, false
	}
	return s.Tensors[i], true
}

// Close unmaps the file. The data of its tensors, and every view of it, must not
// be used any more.
func (s *SafeTensors) Close() error {
	if s == nil || s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	for i := range s.Tensors {
		s.Tensors[i].Data = nil
	}
	return file.close()
}

func parseSafeTensors(file string, data []byte) (*SafeTensors, error) {
	if len(data) < 8 {
		return nil, formatError(file, "%d bytes long, too short for the length of a header", len(data))
	}
	length := le.Uint64(data)
	if length > maxHeader {
		return nil, formatError(file, "header of %d bytes, at most %d are allowed", length, maxHeader)
	}
	if length > uint64(len(data)-8) {
		return nil, formatError(file, "header of %d bytes in a file of %d", length, len(data))
	}
	header, err := parseHeader(file, data[8:8+length])
	if err != nil {
		return nil, err
	}
	body := data[8+length:]
	if err := checkLayout(file, header.entries, uint64(len(body))); err != nil {
		return nil, err
	}
	s := &SafeTensors{
		Metadata: header.metadata,
		Tensors:  make([]Tensor, len(header.entries)),
		index:    make(map[string]int, len(header.entries)),
	}
	for i, e := range header.entries {
		s.Tensors[i] = Tensor{Name: e.name, DType: e.dtype, Shape: e.shape, Data: body[e.start:e.end:e.end]}
		s.index[e.name] = i
	}
	return s, nil
}

// checkLayout sorts the entries by their place and sees to it that each fits its
// bytes and that all together fill the data exactly.
func checkLayout(file string, entries []headerEntry, size uint64) error {
	slices.SortStableFunc(entries, func(a, b headerEntry) int {
		// An empty tensor stands before the one that starts where it ends.
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	var found problems
	at := uint64(0)
	for _, e := range entries {
		if err := e.check(at, size); err != nil {
			found.add(&TensorError{File: file, Name: e.name, Err: err})
		}
		at = max(at, e.end)
	}
	if at < size {
		found.add(formatError(file, "%d bytes behind the last tensor", size-at))
	}
	return found.err()
}

// check tells what is wrong with an entry whose data should start at the given offset.
func (e *headerEntry) check(start, size uint64) error {
	want, ok := byteSize(e.dtype, e.shape)
	switch {
	case e.start > e.end:
		return fmt.Errorf("%w: data_offsets [%d,%d] run backwards", ErrFormat, e.start, e.end)
	case e.end > size:
		return fmt.Errorf("%w: data_offsets [%d,%d] in %d bytes of data", ErrFormat, e.start, e.end, size)
	case !ok:
		return &Mismatch{
			fmt.Sprintf("shape %s of %s", shapeString(e.shape), e.dtype), "a size in bytes that is whole and can be counted", ErrShape,
		}
	case uint64(want) != e.end-e.start:
		return &Mismatch{
			fmt.Sprintf("%d bytes of data", e.end-e.start),
			fmt.Sprintf("%d for shape %s of %s", want, shapeString(e.shape), e.dtype), ErrShape,
		}
	case e.start < start:
		return fmt.Errorf("%w: data_offsets [%d,%d] overlap the tensor before, which ends at %d", ErrFormat, e.start, e.end, start)
	case e.start > start:
		return fmt.Errorf("%w: data_offsets [%d,%d] leave a hole behind %d", ErrFormat, e.start, e.end, start)
	}
	return nil
}
