package hfio

import (
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
)

// TorchFile is a torch .bin or .pt file. Its tensors come in the order of the
// pickle, contiguous, views of the file where they lie in it that way.
type TorchFile struct {
	Tensors []Tensor
	file    *contents
}

// OpenTorch reads a file of torch.save: the zip layout (since torch 1.6) or the
// legacy one. The pickle inside is parsed and never executed: a class or function
// outside of the few that make up tensors is an error which names it.
//
// The file must hold a dict of names to tensors. Dicts inside of it that hold
// tensors are flattened, with names joined by "."; values of other types are left
// out. Parameters are tensors.
func OpenTorch(fsys fs.FS, name string, opts *OpenOptions) (*TorchFile, error) {
	file, err := opts.open(fsys, name)
	if err != nil {
		return nil, err
	}
	tensors, err := parseTorch(fileName(fsys, name), file.data)
	if err != nil {
		_ = file.close()
		return nil, err
	}
	return &TorchFile{Tensors: tensors, file: file}, nil
}

// Tensor returns the tensor of that name.
func (f *TorchFile) Tensor(name string) (Tensor, bool) {
	for _, t := range f.Tensors {
		if t.Name == name {
			return t, true
		}
	}
	return Tensor{}, false
}

// Close unmaps the file; its tensors must not be used any more.
func (f *TorchFile) Close() error {
	if f == nil || f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	for i := range f.Tensors {
		f.Tensors[i].Data = nil
	}
	return file.close()
}

func parseTorch(file string, data []byte) ([]Tensor, error) {
	var root any
	var storages storageFinder
	var err error
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		root, storages, err = parseTorchZip(data)
	} else {
		root, storages, err = parseTorchLegacy(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	flat := flattener{file: file, storages: storages, budget: copyBudget(len(data)), seen: map[string]bool{}}
	switch root := root.(type) {
	case *pyDict:
		flat.dict("", root, 0)
	case *torchTensor:
		return nil, fmt.Errorf("%s: %w: it holds one tensor without a name, want a dict of tensors", file, ErrUnsupported)
	default:
		return nil, fmt.Errorf("%s: %w: it holds %s, want a dict of tensors", file, ErrUnsupported, pyKind(root))
	}
	if err := flat.found.err(); err != nil {
		return nil, err
	}
	return flat.tensors, nil
}

// storageFinder returns the bytes of a storage.
type storageFinder func(s *torchStorage) ([]byte, error)

// copyBudget bounds the bytes of all tensors that must be copied because they do
// not lie in the file as they should: a view may repeat one element any number of
// times, so a short file could ask for any amount.
func copyBudget(fileSize int) int { return 4*fileSize + 64<<20 }

// flattener collects the tensors of nested dicts.
type flattener struct {
	file     string
	storages storageFinder
	budget   int
	visits   int
	seen     map[string]bool
	tensors  []Tensor
	found    problems
}

const (
	maxTorchDepth  = 32
	maxTorchValues = 1 << 20
)

func (f *flattener) dict(prefix string, d *pyDict, depth int) {
	if depth > maxTorchDepth {
		f.found.add(formatError(f.file, "dicts nested deeper than %d", maxTorchDepth))
		return
	}
	for i, key := range d.keys {
		if f.visits++; f.visits > maxTorchValues {
			f.found.add(formatError(f.file, "more than %d values", maxTorchValues))
			return
		}
		switch value := d.values[i].(type) {
		case *torchTensor:
			f.tensor(prefix, key, value)
		case *pyDict:
			if name, ok := keyName(key); ok {
				f.dict(prefix+name+".", value, depth+1)
			}
		}
	}
}

func keyName(key any) (string, bool) {
	switch key := key.(type) {
	case string:
		return key, true
	case int:
		return strconv.Itoa(key), true
	}
	return "", false
}

func (f *flattener) tensor(prefix string, key any, value *torchTensor) {
	name, ok := keyName(key)
	if !ok {
		f.found.add(formatError(f.file, "a tensor's name is %s, want a string", pyKind(key)))
		return
	}
	name = prefix + name
	if f.seen[name] {
		f.found.add(&TensorError{File: f.file, Name: name, Err: fmt.Errorf("%w: two tensors of that name", ErrFormat)})
		return
	}
	f.seen[name] = true
	t, err := value.materialise(f)
	if err != nil {
		f.found.add(&TensorError{File: f.file, Name: name, Err: err})
		return
	}
	t.Name = name
	f.tensors = append(f.tensors, t)
}
