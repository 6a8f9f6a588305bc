package hfio

import (
	"fmt"
	"slices"
	"strings"
)

// A value of a JSON file. Numbers stay as they are written and keys in their
// order, so that what is not understood goes out as it came in.
type jsonValue struct {
	kind   jsonKind
	text   string // jsonNumber: as written; jsonString: decoded
	truth  bool
	items  []jsonValue
	fields []jsonField
}

type jsonField struct {
	key   string
	value jsonValue
}

type jsonKind byte

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

// get returns the value of a key; the last one wins, as in Python.
func (v *jsonValue) get(key string) (*jsonValue, bool) {
	for i := len(v.fields) - 1; i >= 0; i-- {
		if v.fields[i].key == key {
			return &v.fields[i].value, true
		}
	}
	return nil, false
}

// equal compares two values as they would be written: 1.0 is not 1, and the order
// of keys does not count.
func (v *jsonValue) equal(o *jsonValue) bool {
	return string(appendPythonJSON(nil, v, 0)) == string(appendPythonJSON(nil, o, 0))
}

// describe prints a value for an error message, shortened.
func (v *jsonValue) describe() string {
	switch v.kind {
	case jsonArray:
		return fmt.Sprintf("a list of %d", len(v.items))
	case jsonObject:
		return fmt.Sprintf("an object of %d", len(v.fields))
	}
	text := string(appendPythonJSON(nil, v, 0))
	if len(text) > 60 {
		text = text[:57] + "..."
	}
	return text
}

// appendPythonJSON writes a value as Python's json.dumps(v, indent=2,
// sort_keys=True) does: a key a line, other characters than ASCII as \uXXXX.
// Numbers are written as they are held. Of a repeated key the last value is kept.
func appendPythonJSON(dst []byte, v *jsonValue, depth int) []byte {
	switch v.kind {
	case jsonBool:
		if v.truth {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case jsonNumber:
		return append(dst, v.text...)
	case jsonString:
		return appendPythonString(dst, v.text)
	case jsonArray:
		return appendPythonList(dst, v.items, depth)
	case jsonObject:
		return appendPythonDict(dst, v.fields, depth)
	}
	return append(dst, "null"...)
}

func appendPythonList(dst []byte, items []jsonValue, depth int) []byte {
	if len(items) == 0 {
		return append(dst, "[]"...)
	}
	dst = append(dst, '[')
	for i := range items {
		dst = appendLineStart(dst, i, depth+1)
		dst = appendPythonJSON(dst, &items[i], depth+1)
	}
	return append(appendLineStart(dst, 0, depth), ']')
}

func appendPythonDict(dst []byte, fields []jsonField, depth int) []byte {
	if len(fields) == 0 {
		return append(dst, "{}"...)
	}
	sorted := slices.Clone(fields)
	// Bytes of UTF-8 sort as code points do, which is Python's order.
	slices.SortStableFunc(sorted, func(a, b jsonField) int { return strings.Compare(a.key, b.key) })
	dst = append(dst, '{')
	written := 0
	for i := range sorted {
		if i+1 < len(sorted) && sorted[i+1].key == sorted[i].key {
			continue
		}
		dst = appendLineStart(dst, written, depth+1)
		dst = append(appendPythonString(dst, sorted[i].key), ": "...)
		dst = appendPythonJSON(dst, &sorted[i].value, depth+1)
		written++
	}
	return append(appendLineStart(dst, 0, depth), '}')
}

// appendLineStart begins the line of the i-th element.
func appendLineStart(dst []byte, i, depth int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, '\n')
	for range depth {
		dst = append(dst, "  "...)
	}
	return dst
}

// appendPythonString writes a string in ASCII, as json.dumps does by default.
func appendPythonString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		r, size := decodeRune(s)
		s = s[size:]
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r >= 0x20 && r < 0x7f:
			dst = append(dst, byte(r))
		case r > 0xffff:
			r -= 0x10000
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return append(dst, '"')
}
