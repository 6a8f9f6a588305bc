package hfio

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// header is the JSON part of a safetensors file.
type header struct {
	metadata map[string]string
	entries  []headerEntry
}

type headerEntry struct {
	name       string
	dtype      DType
	shape      []int
	start, end uint64 // of its data, behind the header
}

// maxHeaderDepth bounds the nesting inside of a field that is skipped.
const maxHeaderDepth = 16

// parseHeader reads the header token by token, so that its memory stays in
// proportion to the file. Repeated keys and invalid UTF-8 are errors at every level.
func parseHeader(file string, data []byte) (*header, error) {
	if len(data) == 0 || data[0] != '{' {
		return nil, formatError(file, `the header does not start with "{"`)
	}
	r := headerReader{dec: jsontext.NewDecoder(bytes.NewBuffer(data)), file: file}
	h, err := r.header()
	if err != nil {
		return nil, formatError(file, "header: %v", err)
	}
	if err := r.found.err(); err != nil {
		return nil, err
	}
	if len(bytes.TrimRight(data[r.dec.InputOffset():], " \t\r\n")) > 0 {
		return nil, formatError(file, "header: text behind the closing brace")
	}
	return h, nil
}

type headerReader struct {
	dec   *jsontext.Decoder
	file  string
	found problems // of single tensors; the error results are for the whole header
}

func (r *headerReader) header() (*header, error) {
	h := &header{}
	err := r.object(func(name string) error {
		if name == "__metadata__" {
			return r.metadata(h)
		}
		return r.entry(h, name)
	})
	return h, err
}

// object reads an object and calls field at each value.
func (r *headerReader) object(field func(key string) error) error {
	if err := r.open(jsontext.KindBeginObject, "an object"); err != nil {
		return err
	}
	for r.dec.PeekKind() != jsontext.KindEndObject {
		key, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := field(key.String()); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r *headerReader) open(kind jsontext.Kind, want string) error {
	token, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != kind {
		return fmt.Errorf("%s: found %s, want %s", r.dec.StackPointer(), token, want)
	}
	return nil
}

// metadata reads the map of strings to strings; null counts as absent, as in the reference.
func (r *headerReader) metadata(h *header) error {
	if r.dec.PeekKind() == jsontext.KindNull {
		_, err := r.dec.ReadToken()
		return err
	}
	h.metadata = map[string]string{}
	return r.object(func(key string) error {
		value, err := r.str()
		h.metadata[key] = value
		return err
	})
}

func (r *headerReader) str() (string, error) {
	token, err := r.dec.ReadToken()
	if err != nil {
		return "", err
	}
	if token.Kind() != jsontext.KindString {
		return "", fmt.Errorf("%s: found %s, want a string", r.dec.StackPointer(), token)
	}
	return token.String(), nil
}

// entry reads one tensor. Fields other than the three are skipped, as in the reference.
func (r *headerReader) entry(h *header, name string) error {
	e := headerEntry{name: name, shape: []int{}}
	var dtype, shape, offsets bool
	err := r.object(func(key string) (err error) {
		switch key {
		case "dtype":
			dtype = true
			var text string
			text, err = r.str()
			e.dtype = DType(text)
		case "shape":
			shape = true
			err = r.numbers(func(n uint64) error {
				if n > math.MaxInt {
					return fmt.Errorf("%s: dimension %d is too large", r.dec.StackPointer(), n)
				}
				e.shape = append(e.shape, int(n))
				return nil
			})
		case "data_offsets":
			offsets = true
			err = r.offsets(&e)
		default:
			err = r.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	r.checkEntry(&e, dtype, shape, offsets)
	h.entries = append(h.entries, e)
	return nil
}

func (r *headerReader) checkEntry(e *headerEntry, dtype, shape, offsets bool) {
	report := func(err error) { r.found.add(&TensorError{File: r.file, Name: e.name, Err: err}) }
	for _, field := range []struct {
		name string
		ok   bool
	}{{"dtype", dtype}, {"shape", shape}, {"data_offsets", offsets}} {
		if !field.ok {
			report(fmt.Errorf("%w: no %q", ErrFormat, field.name))
		}
	}
	if dtype && !e.dtype.Valid() {
		report(&Mismatch{fmt.Sprintf("dtype %q", e.dtype), "a dtype of safetensors", ErrDType})
	}
}

func (r *headerReader) offsets(e *headerEntry) error {
	var pair [2]uint64
	n := 0
	err := r.numbers(func(v uint64) error {
		if n == 2 {
			return errTwoOffsets
		}
		pair[n] = v
		n++
		return nil
	})
	if err == nil && n != 2 {
		err = errTwoOffsets
	}
	e.start, e.end = pair[0], pair[1]
	return err
}

var errTwoOffsets = errors.New("data_offsets must be two numbers")

// numbers reads a list of unsigned integers, which must be written as digits only.
func (r *headerReader) numbers(each func(uint64) error) error {
	if err := r.open(jsontext.KindBeginArray, "a list"); err != nil {
		return err
	}
	for r.dec.PeekKind() != jsontext.KindEndArray {
		token, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(token.String(), 10, 64)
		if token.Kind() != jsontext.KindNumber || err != nil {
			return fmt.Errorf("%s: found %s, want an unsigned integer of 64 bits", r.dec.StackPointer(), token)
		}
		if err := each(n); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// skip reads a value of any kind and bounds its depth.
func (r *headerReader) skip() error {
	top := r.dec.StackDepth()
	for {
		if _, err := r.dec.ReadToken(); err != nil {
			return err
		}
		switch depth := r.dec.StackDepth(); {
		case depth <= top:
			return nil
		case depth > top+maxHeaderDepth:
			return errors.New("nested too deep")
		}
	}
}
