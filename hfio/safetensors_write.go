package hfio

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// EncodeSafeTensors returns the file that Python's safetensors writes for the same
// tensors, byte for byte: the largest dtypes first, then by name, whatever order
// they come in. Nil metadata is left out, an empty one is written as {}. The
// reference writes several metadata keys in random order; here they are sorted.
func EncodeSafeTensors(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	if err := checkWritable(metadata, tensors); err != nil {
		return nil, err
	}
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(dtypeOrder[b.DType], dtypeOrder[a.DType]), strings.Compare(a.Name, b.Name))
	})
	header := appendHeader(make([]byte, 8, 8+256), metadata, sorted)
	if len(header)-8 > maxHeader {
		return nil, fmt.Errorf("%w: a header of %d bytes, at most %d are allowed", ErrUnsupported, len(header)-8, maxHeader)
	}
	le.PutUint64(header, uint64(len(header)-8))
	total := len(header)
	for _, t := range sorted {
		if len(t.Data) > math.MaxInt-total {
			return nil, fmt.Errorf("%w: more data than memory can hold", ErrUnsupported)
		}
		total += len(t.Data)
	}
	file := slices.Grow(header, total-len(header))
	for _, t := range sorted {
		file = append(file, t.Data...)
	}
	return file, nil
}

func checkWritable(metadata map[string]string, tensors []Tensor) error {
	var found problems
	names := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		switch {
		case t.Name == "__metadata__":
			found.add(&TensorError{Name: t.Name, Err: fmt.Errorf("%w: the name is reserved by the format", ErrValue)})
		case !utf8.ValidString(t.Name):
			found.add(&TensorError{Name: t.Name, Err: fmt.Errorf("%w: the name is not UTF-8", ErrValue)})
		case names[t.Name]:
			found.add(&TensorError{Name: t.Name, Err: fmt.Errorf("%w: two tensors of that name", ErrValue)})
		case t.DType.known() && !t.DType.Valid():
			found.add(&TensorError{Name: t.Name, Err: &Mismatch{"dtype " + string(t.DType), "a dtype of safetensors", ErrDType}})
		}
		names[t.Name] = true
		found.add(t.Check())
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
			found.add(fmt.Errorf("%w: metadata %q is not UTF-8", ErrValue, key))
		}
	}
	return found.err()
}

// appendHeader writes the JSON and pads it with spaces to a multiple of 8.
func appendHeader(dst []byte, metadata map[string]string, tensors []Tensor) []byte {
	dst = append(dst, '{')
	if metadata != nil {
		dst = append(dst, `"__metadata__":{`...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendRustString(dst, key), ':')
			dst = appendRustString(dst, metadata[key])
		}
		dst = append(dst, '}')
	}
	at := 0
	for i, t := range tensors {
		if i > 0 || metadata != nil {
			dst = append(dst, ',')
		}
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(t.Shape), "[]"), " ", ",")
		dst = appendRustString(dst, t.Name)
		dst = fmt.Appendf(dst, `:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}`, t.DType, shape, at, at+len(t.Data))
		at += len(t.Data)
	}
	dst = append(dst, '}')
	for len(dst)%8 != 0 {
		dst = append(dst, ' ')
	}
	return dst
}

// appendRustString writes a string as serde_json does: only quotes, backslashes
// and control characters are escaped.
func appendRustString(dst []byte, s string) []byte {
	const short = "\b\t\n\f\r"
	dst = append(dst, '"')
	for i := range len(s) {
		c := s[i]
		switch at := strings.IndexByte(short, c); {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case at >= 0:
			dst = append(dst, '\\', "btnfr"[at])
		case c < 0x20:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
