package hfio

import (
	"archive/zip"
	"bytes"
	"fmt"
	"math/big"
	"strings"
)

func newTorchUnpickler(src []byte) *unpickler {
	return &unpickler{src: src, call: torchCall, persistent: torchStorageID}
}

// parseTorchZip reads the layout of torch 1.6 and later: a zip of stored entries,
// NAME/data.pkl and a NAME/data/KEY for each storage. Checksums are not verified:
// torch can be told not to compute them, and a mapped file would be read whole.
func parseTorchZip(data []byte) (any, storageFinder, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: zip: %v", ErrFormat, err)
	}
	entries := make(map[string]*zip.File, len(archive.File))
	prefix := ""
	for _, entry := range archive.File {
		if entries[entry.Name] != nil {
			return nil, nil, fmt.Errorf("%w: zip: two entries %q", ErrFormat, entry.Name)
		}
		entries[entry.Name] = entry
		if dir, ok := strings.CutSuffix(entry.Name, "/data.pkl"); ok && !strings.Contains(dir, "/") {
			prefix = dir + "/"
		}
	}
	switch {
	case prefix == "":
		return nil, nil, fmt.Errorf("%w: a zip without data.pkl", ErrFormat)
	case entries[prefix+"constants.pkl"] != nil:
		return nil, nil, fmt.Errorf("%w: a TorchScript archive", ErrUnsupported)
	}
	record := func(name string) ([]byte, error) { return zipRecord(data, entries[prefix+name], prefix+name) }
	if err := checkByteOrder(record, entries[prefix+"byteorder"] != nil); err != nil {
		return nil, nil, err
	}
	pickle, err := record("data.pkl")
	if err != nil {
		return nil, nil, err
	}
	if len(pickle) > maxPickle {
		return nil, nil, fmt.Errorf("%w: a pickle of %d bytes, at most %d are read", ErrUnsupported, len(pickle), maxPickle)
	}
	root, err := newTorchUnpickler(pickle).load()
	if err != nil {
		return nil, nil, err
	}
	return root, func(s *torchStorage) ([]byte, error) {
		bytes, err := record("data/" + s.key)
		if err != nil {
			return nil, err
		}
		return bytes, s.checkSize(len(bytes))
	}, nil
}

func checkByteOrder(record func(string) ([]byte, error), present bool) error {
	if !present {
		return nil
	}
	order, err := record("byteorder")
	if err != nil {
		return err
	}
	if string(order) != "little" {
		return fmt.Errorf("%w: byte order %.20q, want little", ErrUnsupported, order)
	}
	return nil
}

// zipRecord returns the bytes of a stored entry, in place.
func zipRecord(data []byte, entry *zip.File, name string) ([]byte, error) {
	if entry == nil {
		return nil, fmt.Errorf("%w: no zip entry %q", ErrFormat, name)
	}
	if entry.Method != zip.Store || entry.Flags&1 != 0 {
		return nil, fmt.Errorf("%w: zip entry %q is compressed or encrypted; torch.save stores entries as they are", ErrUnsupported, name)
	}
	start, err := entry.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%w: zip entry %q: %v", ErrFormat, name, err)
	}
	size := entry.UncompressedSize64
	if size != entry.CompressedSize64 || start < 0 || start > int64(len(data)) || size > uint64(int64(len(data))-start) {
		return nil, fmt.Errorf("%w: zip entry %q of %d bytes does not fit the file", ErrFormat, name, size)
	}
	end := start + int64(size)
	return data[start:end:end], nil
}

func (s *torchStorage) checkSize(found int) error {
	want, ok := s.bytes()
	if !ok || want != found {
		return &Mismatch{
			fmt.Sprintf("%d bytes in storage %q", found, s.key), fmt.Sprintf("%d elements of %s", s.elements, s.dtype), ErrShape,
		}
	}
	return nil
}

// The legacy layout starts with two pickled numbers.
var legacyMagic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

const legacyProtocol = 1001

// parseTorchLegacy reads the layout before torch 1.6: five pickles (magic number,
// protocol, machine, the values, the storages' keys), then for each key the number
// of elements and the elements.
func parseTorchLegacy(data []byte) (any, storageFinder, error) {
	u := newTorchUnpickler(data[:min(len(data), maxPickle)])
	sizes := map[string]*torchStorage{}
	u.persistent = func(id any) (any, error) {
		v, err := torchStorageID(id)
		if s, ok := v.(*torchStorage); ok {
			sizes[s.key] = s
		}
		return v, err
	}
	magic, err := u.load()
	if number, ok := magic.(*big.Int); err != nil || !ok || number.Cmp(legacyMagic) != 0 {
		return nil, nil, fmt.Errorf("%w: neither a zip nor a legacy file of torch.save", ErrFormat)
	}
	if protocol, err := u.load(); err != nil || protocol != legacyProtocol {
		return nil, nil, fmt.Errorf("%w: legacy protocol %v, want %d", ErrUnsupported, protocol, legacyProtocol)
	}
	if _, err := u.load(); err != nil {
		return nil, nil, err
	}
	root, err := u.load()
	if err != nil {
		return nil, nil, err
	}
	keys, err := u.load()
	if err != nil {
		return nil, nil, err
	}
	storages, err := legacyStorages(data[u.at:], keys, sizes)
	if err != nil {
		return nil, nil, err
	}
	return root, func(s *torchStorage) ([]byte, error) {
		bytes, ok := storages[s.key]
		if !ok {
			return nil, fmt.Errorf("%w: no data of storage %q", ErrFormat, s.key)
		}
		return bytes, s.checkSize(len(bytes))
	}, nil
}

// legacyStorages cuts the data behind the pickles into storages.
func legacyStorages(data []byte, keys any, sizes map[string]*torchStorage) (map[string][]byte, error) {
	list, ok := keys.(*pyList)
	if !ok {
		return nil, fmt.Errorf("%w: the storages' keys are %s, want a list", ErrFormat, pyKind(keys))
	}
	storages := make(map[string][]byte, len(list.items))
	for _, item := range list.items {
		key, _ := item.(string)
		storage := sizes[key]
		if storage == nil || storages[key] != nil {
			return nil, fmt.Errorf("%w: storage key %q is not the key of one storage", ErrFormat, key)
		}
		size, ok := storage.bytes()
		if !ok || len(data) < 8 || size > len(data)-8 {
			return nil, fmt.Errorf("%w: storage %q of %d elements does not fit the file", ErrFormat, key, storage.elements)
		}
		if n := le.Uint64(data); n != uint64(storage.elements) {
			return nil, fmt.Errorf("%w: storage %q has %d elements, %d in the pickle", ErrFormat, key, n, storage.elements)
		}
		storages[key] = data[8 : 8+size : 8+size]
		data = data[8+size:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the last storage", ErrFormat, len(data))
	}
	return storages, nil
}
