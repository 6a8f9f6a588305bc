package hfio

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// ggufReader reads a header from its start. The first error stays, and everything
// read behind it is zero.
type ggufReader struct {
	file string
	data []byte
	at   int
	err  error
}

func (r *ggufReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *ggufReader) format(text string, args ...any) {
	r.fail(formatError(r.file, "byte %d: %s", r.at, fmt.Sprintf(text, args...)))
}

// bytes takes n bytes.
func (r *ggufReader) bytes(n uint64) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(len(r.data)-r.at) {
		r.format("the header goes on for %d bytes, the file has %d", n, len(r.data)-r.at)
		return nil
	}
	taken := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return taken
}

func (r *ggufReader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return le.Uint32(b)
	}
	return 0
}

func (r *ggufReader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return le.Uint64(b)
	}
	return 0
}

func (r *ggufReader) string() string {
	text := r.bytes(r.uint64())
	if r.err == nil && !utf8.Valid(text) {
		r.format("a text that is not UTF-8: %.40q", text)
	}
	return string(text)
}

// start reads the magic, the version and the two counts.
func (r *ggufReader) start(g *GGUF) (tensors, pairs uint64) {
	if magic := r.bytes(4); string(magic) != "GGUF" {
		r.fail(formatError(r.file, "it starts with %q, want \"GGUF\"", magic))
	}
	version := r.uint32()
	switch {
	case r.err != nil:
	case version&0xffff == 0:
		r.fail(fmt.Errorf("%s: %w: a file of a big-endian machine", r.file, ErrUnsupported))
	case version != 2 && version != 3:
		r.fail(fmt.Errorf("%s: %w: GGUF version %d, want 2 or 3", r.file, ErrUnsupported, version))
	}
	g.Version = int(version)
	return r.uint64(), r.uint64()
}

func (r *ggufReader) metadata(pairs uint64) map[string]any {
	values := map[string]any{}
	for i := uint64(0); i < pairs && r.err == nil; i++ {
		key := r.string()
		value := r.value(r.uint32())
		if _, twice := values[key]; twice {
			r.format("metadata %q is there twice", key)
		}
		values[key] = value
	}
	return values
}

// The types of metadata, gguf_type of ggml.
const (
	ggufUint8 uint32 = iota
	ggufInt8
	ggufUint16
	ggufInt16
	ggufUint32
	ggufInt32
	ggufFloat32
	ggufBool
	ggufString
	ggufArray
	ggufUint64
	ggufInt64
	ggufFloat64
)

func (r *ggufReader) value(kind uint32) any {
	switch kind {
	case ggufString:
		return r.string()
	case ggufBool:
		return r.bool()
	case ggufFloat32, ggufFloat64:
		return r.float(kind)
	case ggufArray:
		return r.array(r.uint32(), r.uint64())
	}
	return r.integer(kind)
}

func (r *ggufReader) bool() bool {
	b := r.bytes(1)
	if b != nil && b[0] > 1 {
		r.format("a truth value of %d", b[0])
	}
	return b != nil && b[0] == 1
}

func (r *ggufReader) float(kind uint32) float64 {
	if kind == ggufFloat32 {
		return float64(math.Float32frombits(r.uint32()))
	}
	return math.Float64frombits(r.uint64())
}

func (r *ggufReader) integer(kind uint32) int64 {
	width, known := ggufWidths[kind]
	if !known {
		r.format("metadata of the unknown type %d", kind)
	}
	var wide [8]byte
	copy(wide[:], r.bytes(uint64(width)))
	n := int64(le.Uint64(wide[:]))
	switch kind {
	case ggufInt8:
		return int64(int8(n))
	case ggufInt16:
		return int64(int16(n))
	case ggufInt32:
		return int64(int32(n))
	case ggufUint64:
		if n < 0 {
			r.format("the integer %d is too large", uint64(n))
		}
	}
	return n
}

// ggufWidths are the bytes of one element, of strings the least.
var ggufWidths = map[uint32]int{
	ggufUint8: 1, ggufInt8: 1, ggufUint16: 2, ggufInt16: 2, ggufUint32: 4, ggufInt32: 4, ggufFloat32: 4,
	ggufBool: 1, ggufString: 8, ggufUint64: 8, ggufInt64: 8, ggufFloat64: 8,
}

// array reads a list, whose length is checked against the rest of the file.
func (r *ggufReader) array(kind uint32, n uint64) any {
	width, known := ggufWidths[kind]
	switch {
	case r.err != nil:
		return nil
	case kind == ggufArray:
		r.fail(fmt.Errorf("%s: byte %d: %w: metadata with a list of lists", r.file, r.at, ErrUnsupported))
		return nil
	case !known:
		r.format("a list of the unknown type %d", kind)
		return nil
	case n > uint64(len(r.data)-r.at)/uint64(width):
		r.format("a list of %d elements in %d bytes", n, len(r.data)-r.at)
		return nil
	}
	switch kind {
	case ggufString:
		return ggufList(n, r.string)
	case ggufBool:
		return ggufList(n, r.bool)
	case ggufFloat32, ggufFloat64:
		return ggufList(n, func() float64 { return r.float(kind) })
	}
	return ggufList(n, func() int64 { return r.integer(kind) })
}

func ggufList[T any](n uint64, next func() T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = next()
	}
	return list
}

// infos reads what is said of each tensor.
func (r *ggufReader) infos(tensors uint64) []ggufInfo {
	var infos []ggufInfo
	for i := uint64(0); i < tensors && r.err == nil; i++ {
		info := ggufInfo{name: r.string()}
		dims := r.uint32()
		if dims > ggufMaxDims {
			r.format("tensor %q has %d dimensions, want at most %d", info.name, dims, ggufMaxDims)
			break
		}
		info.shape = make([]int, dims)
		for d := range info.shape {
			size := r.uint64()
			if size > math.MaxInt {
				r.format("tensor %q has a dimension of %d", info.name, size)
			}
			info.shape[len(info.shape)-1-d] = int(size)
		}
		info.kind, info.offset = r.uint32(), r.uint64()
		infos = append(infos, info)
	}
	return infos
}

// body returns the data behind the header, which start at a multiple of the alignment.
func (r *ggufReader) body(metadata map[string]any) ([]byte, uint64, error) {
	const key = "general.alignment"
	alignment := uint64(ggufDefaultAlignment)
	if value, there := metadata[key]; there {
		n, ok := value.(int64)
		if !ok || n < 1 || n > 1<<30 || n&(n-1) != 0 {
			return nil, 0, &FieldError{r.file, key, &Mismatch{shortValue(value), "a power of two", ErrValue}}
		}
		alignment = uint64(n)
	}
	start := min(roundUp(uint64(r.at), alignment), uint64(len(r.data)))
	return r.data[start:], alignment, nil
}
