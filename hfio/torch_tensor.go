package hfio

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// torchStorage is a storage as the pickle names it; its bytes are elsewhere in the file.
type torchStorage struct {
	dtype    DType // "" for an untyped one, which counts bytes
	key      string
	elements int
}

// bytes returns the size; ok is false where it cannot be counted.
func (s *torchStorage) bytes() (int, bool) {
	if s.dtype == "" {
		return s.elements, true
	}
	return byteSize(s.dtype, []int{s.elements})
}

// torchTensor is a view of a storage.
type torchTensor struct {
	storage       *torchStorage
	dtype         DType
	offset        int // in elements
	shape, stride []int
}

// storageTypes are the classes of storages, without their module.
var storageTypes = map[string]DType{
	"DoubleStorage": F64, "FloatStorage": F32, "HalfStorage": F16, "BFloat16Storage": BF16,
	"LongStorage": I64, "IntStorage": I32, "ShortStorage": I16, "CharStorage": I8, "ByteStorage": U8,
	"BoolStorage": Bool, "ComplexFloatStorage": C64, "UntypedStorage": "",
}

// torchDTypes are the dtype objects, which untyped storages come with.
var torchDTypes = map[pyGlobal]DType{
	"torch.float64": F64, "torch.float32": F32, "torch.float16": F16, "torch.bfloat16": BF16,
	"torch.int64": I64, "torch.int32": I32, "torch.int16": I16, "torch.int8": I8, "torch.uint8": U8,
	"torch.uint16": U16, "torch.uint32": U32, "torch.uint64": U64, "torch.bool": Bool, "torch.complex64": C64,
	"torch.float8_e4m3fn": F8E4M3, "torch.float8_e5m2": F8E5M2, "torch.float8_e8m0fnu": F8E8M0,
	"torch.float8_e4m3fnuz": F8E4M3FNUZ, "torch.float8_e5m2fnuz": F8E5M2FNUZ,
}

// torchStorageID reads a persistent id: ("storage", class, key, location, elements),
// and in the legacy layout a sixth value for views of storages, which must be None.
func torchStorageID(id any) (any, error) {
	t, ok := id.(pyTuple)
	if !ok || len(t) < 5 || len(t) > 6 || t[0] != "storage" {
		return nil, fmt.Errorf("%w: a persistent id that names no storage", ErrUnsupported)
	}
	if len(t) == 6 && t[5] != nil {
		return nil, fmt.Errorf("%w: a legacy view of a storage", ErrUnsupported)
	}
	class, ok1 := t[1].(pyGlobal)
	key, ok2 := t[2].(string)
	elements, ok3 := t[4].(int)
	if !ok1 || !ok2 || !ok3 || elements < 0 {
		return nil, fmt.Errorf("%w: a storage's id does not hold a class, a key and a size", ErrFormat)
	}
	module, name := splitGlobal(class)
	dtype, ok := storageTypes[name]
	if !ok || (module != "torch" && module != "torch.storage" && module != "torch.cuda") {
		return nil, fmt.Errorf("%w: storage class %s", ErrUnsupported, class)
	}
	return &torchStorage{dtype, key, elements}, nil
}

func splitGlobal(g pyGlobal) (module, name string) {
	i := strings.LastIndexByte(string(g), '.')
	return string(g[:max(i, 0)]), string(g[i+1:])
}

// torchCall applies the functions that make up tensors and their containers. All
// others are refused by name.
func torchCall(function pyGlobal, args pyTuple) (any, error) {
	switch function {
	case "collections.OrderedDict":
		return orderedDict(args)
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return rebuildTensor(args, "")
	case "torch._utils._rebuild_tensor_v3":
		if len(args) < 7 {
			break
		}
		name, _ := args[6].(pyGlobal)
		dtype, ok := torchDTypes[name]
		if !ok {
			return nil, fmt.Errorf("%w: dtype %s", ErrUnsupported, pyKind(args[6]))
		}
		return rebuildTensor(args, dtype)
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		if len(args) > 0 {
			if t, ok := args[0].(*torchTensor); ok {
				return t, nil
			}
		}
	case "torch._tensor._rebuild_from_type_v2":
		return rebuildFromType(args)
	case "torch.Size", "torch.device", "builtins.set", "builtins.bytearray", "collections.Counter", "_codecs.encode":
		return args, nil // values that are no tensors, and so are left out
	default:
		return nil, fmt.Errorf("%w: %s is not among the functions that make a tensor", ErrUnsupported, function)
	}
	return nil, fmt.Errorf("%w: arguments of %s", ErrFormat, function)
}

// orderedDict takes nothing, or a list of pairs.
func orderedDict(args pyTuple) (any, error) {
	d := &pyDict{}
	if len(args) == 0 {
		return d, nil
	}
	list, ok := args[0].(*pyList)
	if !ok {
		return nil, fmt.Errorf("%w: OrderedDict of %s", ErrFormat, pyKind(args[0]))
	}
	for _, item := range list.items {
		pair, ok := item.(*pyList)
		if !ok || len(pair.items) != 2 {
			return nil, fmt.Errorf("%w: OrderedDict of something else than pairs", ErrFormat)
		}
		_ = d.add(pair.items)
	}
	return d, nil
}

// rebuildFromType is called for tensors with attributes: function, class, arguments, state.
func rebuildFromType(args pyTuple) (any, error) {
	if len(args) == 4 {
		function, ok1 := args[0].(pyGlobal)
		inner, ok2 := args[2].(pyTuple)
		if ok1 && ok2 && function != "torch._tensor._rebuild_from_type_v2" {
			return torchCall(function, inner)
		}
	}
	return nil, fmt.Errorf("%w: arguments of _rebuild_from_type_v2", ErrFormat)
}

// rebuildTensor reads (storage, offset, size, stride, …). A dtype is given for untyped storages.
func rebuildTensor(args pyTuple, dtype DType) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("%w: a tensor of %d arguments", ErrFormat, len(args))
	}
	storage, ok := args[0].(*torchStorage)
	offset, ok1 := args[1].(int)
	shape, ok2 := intTuple(args[2])
	stride, ok3 := intTuple(args[3])
	if !ok || !ok1 || !ok2 || !ok3 || len(shape) != len(stride) || offset < 0 {
		return nil, fmt.Errorf("%w: a tensor's arguments are no storage, offset, size and stride", ErrFormat)
	}
	if dtype == "" {
		dtype = storage.dtype
	}
	if dtype == "" {
		return nil, fmt.Errorf("%w: a tensor of an untyped storage without a dtype", ErrFormat)
	}
	return &torchTensor{storage, dtype, offset, shape, stride}, nil
}

// intTuple reads a tuple of numbers that are not negative.
func intTuple(v any) ([]int, bool) {
	t, ok := v.(pyTuple)
	list := make([]int, len(t))
	for i, item := range t {
		n, isInt := item.(int)
		if !isInt || n < 0 {
			return nil, false
		}
		list[i] = n
	}
	return list, ok
}

// materialise returns the tensor's elements in row-major order: a view of the file
// if they lie in it that way, else a copy.
func (t *torchTensor) materialise(f *flattener) (Tensor, error) {
	out := Tensor{DType: t.dtype, Shape: slices.Clone(t.shape)}
	size, ok := byteSize(t.dtype, t.shape)
	if !ok {
		return out, &Mismatch{"shape " + shapeString(t.shape), "a shape whose size can be counted", ErrShape}
	}
	data, err := f.storages(t.storage)
	if err != nil || size == 0 {
		out.Data = []byte{}
		return out, err
	}
	width := t.dtype.Bits() / 8
	last, ok := t.lastElement()
	if !ok || last >= len(data)/width {
		return out, &Mismatch{
			fmt.Sprintf("offset %d, shape %s, strides %s", t.offset, shapeString(t.shape), shapeString(t.stride)),
			fmt.Sprintf("a view inside of the %d elements of storage %q", len(data)/width, t.storage.key), ErrShape,
		}
	}
	if t.contiguous() {
		start := t.offset * width
		out.Data = data[start : start+size : start+size]
		return out, nil
	}
	if size > f.budget {
		return out, fmt.Errorf("%w: views that repeat their storage too often to be written out", ErrUnsupported)
	}
	f.budget -= size
	out.Data = make([]byte, 0, size)
	for at := range t.offsets() {
		out.Data = append(out.Data, data[at*width:(at+1)*width]...)
	}
	return out, nil
}

// lastElement returns the index of the element furthest into the storage; ok is
// false where it cannot be counted. The tensor must not be empty.
func (t *torchTensor) lastElement() (int, bool) {
	last := uint64(t.offset)
	for i, d := range t.shape {
		hi, step := bits.Mul64(uint64(d-1), uint64(t.stride[i]))
		sum, carry := bits.Add64(last, step, 0)
		if hi != 0 || carry != 0 || sum > 1<<62 {
			return 0, false
		}
		last = sum
	}
	return int(last), true
}

// contiguous tells whether the elements lie in row-major order without gaps.
func (t *torchTensor) contiguous() bool {
	want := 1
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != want {
			return false
		}
		want *= t.shape[i]
	}
	return true
}

// offsets yields the places of the elements in row-major order.
func (t *torchTensor) offsets() func(yield func(int) bool) {
	return func(yield func(int) bool) {
		index := make([]int, len(t.shape))
		at := t.offset
		for yield(at) {
			axis := len(index) - 1
			for ; axis >= 0; axis-- {
				index[axis]++
				at += t.stride[axis]
				if index[axis] < t.shape[axis] {
					break
				}
				at -= index[axis] * t.stride[axis]
				index[axis] = 0
			}
			if axis < 0 {
				return
			}
		}
	}
}
