package hfio

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"unicode/utf8"
)

// The values a pickle is read into. Besides these: nil, bool, int, *big.Int,
// float64, string and []byte.
type (
	pyTuple  []any
	pyGlobal string // a class or function, as module.name; it is only ever a name
	pyMark   struct{}
	pyList   struct{ items []any }
	pyDict   struct{ keys, values []any }
)

// Bounds of a pickle. Those that torch writes for real checkpoints stay far below.
const (
	maxPickle      = 32 << 20
	maxPickleStack = 1 << 20
	maxPickleMemo  = 1 << 22
	maxPickleLong  = 255 // bytes of an integer
)

// unpickler reads the opcodes that torch.save writes, with any binary pickle
// protocol (2 to 5; 1 shares their opcodes). It runs nothing: a class or function
// is a name, and applying one is left to call, which knows the few it allows.
type unpickler struct {
	src        []byte
	at         int
	stack      []any
	memo       map[uint32]any
	call       func(function pyGlobal, args pyTuple) (any, error)
	persistent func(id any) (any, error)
}

// load reads one pickle, up to its STOP, and leaves at behind it.
func (u *unpickler) load() (any, error) {
	u.stack, u.memo = nil, map[uint32]any{}
	for {
		start := u.at
		op, err := u.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return u.pop()
		}
		if err := u.step(op[0]); err != nil {
			return nil, fmt.Errorf("pickle byte %d, opcode %s: %w", start, opcodeName(op[0]), err)
		}
		if len(u.stack) > maxPickleStack || len(u.memo) > maxPickleMemo {
			return nil, fmt.Errorf("pickle byte %d: more than %d values at once", start, maxPickleStack)
		}
	}
}

func (u *unpickler) step(op byte) error {
	if value, ok := constants[op]; ok {
		return u.push(value())
	}
	if read, ok := literals[op]; ok {
		value, err := read(u)
		if err != nil {
			return err
		}
		return u.push(value)
	}
	if run, ok := actions[op]; ok {
		return run(u)
	}
	return fmt.Errorf("%w: torch.save does not write it", ErrUnsupported)
}

// constants push a value.
var constants = map[byte]func() any{
	'(':  func() any { return pyMark{} },
	'N':  func() any { return nil },
	0x88: func() any { return true },
	0x89: func() any { return false },
	')':  func() any { return pyTuple{} },
	']':  func() any { return &pyList{} },
	'}':  func() any { return &pyDict{} },
	0x8f: func() any { return &pyList{} }, // a set
}

// literals push a value that follows in the stream.
var literals = map[byte]func(*unpickler) (any, error){
	'K':  func(u *unpickler) (any, error) { return u.uint(1) },
	'M':  func(u *unpickler) (any, error) { return u.uint(2) },
	'J':  func(u *unpickler) (any, error) { n, err := u.uint(4); return int(int32(uint32(n))), err },
	'G':  (*unpickler).binFloat,
	0x8a: func(u *unpickler) (any, error) { return u.long(1) },
	0x8b: func(u *unpickler) (any, error) { return u.long(4) },
	0x8c: func(u *unpickler) (any, error) { return u.text(1) },
	'X':  func(u *unpickler) (any, error) { return u.text(4) },
	0x8d: func(u *unpickler) (any, error) { return u.text(8) },
	'U':  func(u *unpickler) (any, error) { return u.text(1) }, // of Python 2
	'T':  func(u *unpickler) (any, error) { return u.text(4) },
	'C':  func(u *unpickler) (any, error) { return u.bytes(1) },
	'B':  func(u *unpickler) (any, error) { return u.bytes(4) },
	0x8e: func(u *unpickler) (any, error) { return u.bytes(8) },
	0x96: func(u *unpickler) (any, error) { return u.bytes(8) },
	'c':  (*unpickler).global,
	'h':  func(u *unpickler) (any, error) { return u.recall(1) },
	'j':  func(u *unpickler) (any, error) { return u.recall(4) },
}

// take returns the next n bytes.
func (u *unpickler) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.src)-u.at {
		return nil, fmt.Errorf("%w: the pickle ends in the middle", ErrFormat)
	}
	b := u.src[u.at : u.at+n : u.at+n]
	u.at += n
	return b, nil
}

// uint reads a little-endian number of n bytes; of 8 it must fit an int.
func (u *unpickler) uint(n int) (int, error) {
	b, err := u.take(n)
	if err != nil {
		return 0, err
	}
	v := uint64(0)
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	if v > math.MaxInt {
		return 0, fmt.Errorf("%w: length %d", ErrFormat, v)
	}
	return int(v), nil
}

// bytes reads a length of n bytes and as many bytes as it says.
func (u *unpickler) bytes(n int) ([]byte, error) {
	length, err := u.uint(n)
	if err != nil {
		return nil, err
	}
	return u.take(length)
}

func (u *unpickler) text(n int) (string, error) {
	b, err := u.bytes(n)
	if err == nil && !utf8.Valid(b) {
		err = fmt.Errorf("%w: a string is not UTF-8", ErrFormat)
	}
	return string(b), err
}

func (u *unpickler) binFloat() (any, error) {
	b, err := u.take(8)
	if err != nil {
		return nil, err
	}
	bits := uint64(0)
	for _, c := range b {
		bits = bits<<8 | uint64(c)
	}
	return math.Float64frombits(bits), nil
}

// long reads an integer of any size: two's complement, little-endian.
func (u *unpickler) long(n int) (any, error) {
	length, err := u.uint(n)
	if err != nil {
		return nil, err
	}
	if length > maxPickleLong {
		return nil, fmt.Errorf("%w: an integer of %d bytes", ErrUnsupported, length)
	}
	b, err := u.take(length)
	if err != nil {
		return nil, err
	}
	value, place := new(big.Int), new(big.Int)
	for i, c := range b {
		value.Or(value, place.Lsh(big.NewInt(int64(c)), uint(8*i)))
	}
	if length > 0 && b[length-1] >= 0x80 {
		value.Sub(value, place.Lsh(big.NewInt(1), uint(8*length)))
	}
	if value.IsInt64() && int64(int(value.Int64())) == value.Int64() {
		return int(value.Int64()), nil
	}
	return value, nil
}

// global reads a class or function: two lines, module and name.
func (u *unpickler) global() (any, error) {
	module, err := u.line()
	if err != nil {
		return nil, err
	}
	name, err := u.line()
	return newGlobal(module, name), err
}

// newGlobal gives Python 2's names, which protocols up to 2 are written with, in
// those of Python 3.
func newGlobal(module, name string) pyGlobal {
	if module == "__builtin__" {
		module = "builtins"
	}
	return pyGlobal(module + "." + name)
}

func (u *unpickler) line() (string, error) {
	rest := u.src[u.at:]
	end := strings.IndexByte(string(rest[:min(len(rest), 512)]), '\n')
	if end < 0 {
		return "", fmt.Errorf("%w: a name without end", ErrFormat)
	}
	u.at += end + 1
	return string(rest[:end]), nil
}

func (u *unpickler) recall(n int) (any, error) {
	key, err := u.uint(n)
	if err != nil {
		return nil, err
	}
	value, ok := u.memo[uint32(key)]
	if !ok {
		return nil, fmt.Errorf("%w: memo %d is empty", ErrFormat, key)
	}
	return value, nil
}
