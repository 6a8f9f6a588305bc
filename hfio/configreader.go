package hfio

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// ConfigReader reads the values of a JSON object. A value of the wrong type, or a
// wanted one that is missing, gives zero and is kept as a [FieldError]; Err returns
// all of them, so that a model's config is read straight down and checked once:
//
//	r := config.Reader()
//	hidden := r.Int("hidden_size")
//	eps := r.FloatOr("layer_norm_eps", 1e-12)
//	if err := r.Err(); err != nil { … }
//
// In the methods without Or the key must be there; the further keys are other names
// of it, tried in order. In those with Or a key that is absent or null gives the default.
type ConfigReader struct {
	file   string
	prefix string // of nested keys: text_config.
	object *jsonValue
	others map[string]string // other names of keys
	found  *problems
}

// Err returns all problems met so far, in the order of reading; nil if there are none.
func (r *ConfigReader) Err() error { return r.found.err() }

// Has tells whether a key is there and not null.
func (r *ConfigReader) Has(key string) bool {
	_, ok := r.lookup(key)
	return ok
}

// Reject adds a problem of a key whose value the caller cannot take; want says
// what could be taken.
func (r *ConfigReader) Reject(key, want string) {
	found := "nothing"
	if v, ok := r.object.get(key); ok {
		found = v.describe()
	}
	r.problem(key, &Mismatch{found, want, ErrValue})
}

// AlsoNamed makes a key known under another name, by which it is read where it is not there
// itself. Two values that differ are a problem of the other name: one of them would be ignored.
func (r *ConfigReader) AlsoNamed(key, other string) {
	if r.others == nil {
		r.others = map[string]string{}
	}
	own, there := r.lookup(key)
	if value, both := r.lookup(other); both && there && !value.equal(own) {
		r.Reject(other, fmt.Sprintf("%s, as %s has it, which is the same field", own.describe(), key))
	}
	r.others[key] = other
}

// Int returns an integer that must be there.
func (r *ConfigReader) Int(keys ...string) int {
	return wanted(r, keys, "an integer", jsonInt)
}

// IntOr returns an integer, or a default.
func (r *ConfigReader) IntOr(key string, def int) int {
	return optional(r, key, def, "an integer", jsonInt)
}

// IntOrNull returns an integer, or a default where the key is absent, or null's number where
// it is null.
func (r *ConfigReader) IntOrNull(key string, def, null int) int {
	if _, there := r.object.get(key); there {
		def = null
	}
	return r.IntOr(key, def)
}

// Size returns an integer that must be there and be at least 1.
func (r *ConfigReader) Size(keys ...string) int {
	return wanted(r, keys, "an integer of at least 1", jsonSize)
}

// SizeOr returns an integer of at least 1, or a default.
func (r *ConfigReader) SizeOr(key string, def int) int {
	return optional(r, key, def, "an integer of at least 1", jsonSize)
}

// Float returns a number that must be there.
func (r *ConfigReader) Float(keys ...string) float64 {
	return wanted(r, keys, "a number", jsonFloat)
}

// FloatOr returns a number, or a default.
func (r *ConfigReader) FloatOr(key string, def float64) float64 {
	return optional(r, key, def, "a number", jsonFloat)
}

// NotNegativeOr returns a finite number of at least 0, or a default.
func (r *ConfigReader) NotNegativeOr(key string, def float64) float64 {
	return optional(r, key, def, "a number of at least 0", func(v *jsonValue) (float64, bool) {
		x, ok := jsonFloat(v)
		return x, ok && x >= 0 && !math.IsInf(x, 0)
	})
}

// ProbabilityOr returns a probability of less than 1, or a default.
func (r *ConfigReader) ProbabilityOr(key string, def float32) float32 {
	return optional(r, key, def, "a probability from 0 to less than 1", func(v *jsonValue) (float32, bool) {
		p, ok := jsonFloat(v)
		return float32(p), ok && p >= 0 && float32(p) < 1
	})
}

// String returns a string that must be there.
func (r *ConfigReader) String(keys ...string) string {
	return wanted(r, keys, "a string", jsonText)
}

// StringOr returns a string, or a default.
func (r *ConfigReader) StringOr(key, def string) string {
	return optional(r, key, def, "a string", jsonText)
}

// Bool returns a truth value that must be there.
func (r *ConfigReader) Bool(keys ...string) bool {
	return wanted(r, keys, "true or false", jsonTruth)
}

// BoolOr returns a truth value, or a default.
func (r *ConfigReader) BoolOr(key string, def bool) bool {
	return optional(r, key, def, "true or false", jsonTruth)
}

// Strings returns a list of strings that must be there.
func (r *ConfigReader) Strings(keys ...string) []string {
	return wanted(r, keys, "a list of strings", jsonStrings)
}

// StringsOr returns a list of strings, or a default.
func (r *ConfigReader) StringsOr(key string, def []string) []string {
	return optional(r, key, def, "a list of strings", jsonStrings)
}

// Ints returns a list of integers that must be there.
func (r *ConfigReader) Ints(keys ...string) []int {
	return wanted(r, keys, "a list of integers", jsonInts)
}

// IntsOr returns a list of integers, or a default.
func (r *ConfigReader) IntsOr(key string, def []int) []int {
	return optional(r, key, def, "a list of integers", jsonInts)
}

// Floats returns a list of numbers that must be there.
func (r *ConfigReader) Floats(keys ...string) []float64 {
	return wanted(r, keys, "a list of numbers", jsonFloats)
}

// RawOr returns a value as JSON, or a default.
func (r *ConfigReader) RawOr(key string, def json.RawMessage) json.RawMessage {
	return optional(r, key, def, "a value", jsonRaw)
}

// Sub returns a reader of a nested object. Its problems count as this reader's.
// Where the key is absent or null, ok is false and every wanted key of it is missing.
func (r *ConfigReader) Sub(key string) (sub *ConfigReader, ok bool) {
	sub = &ConfigReader{file: r.file, prefix: r.prefix + key + ".", object: &jsonValue{kind: jsonObject}, found: r.found}
	v, ok := r.lookup(key)
	if !ok {
		return sub, false
	}
	if v.kind != jsonObject {
		r.Reject(key, "an object")
		return sub, false
	}
	sub.object = v
	return sub, true
}

// Keys returns the keys in the order of the file.
func (r *ConfigReader) Keys() []string {
	var keys []string
	for _, f := range r.object.fields {
		keys = append(keys, f.key)
	}
	return keys
}

// lookup returns the value of a key that is there and not null.
func (r *ConfigReader) lookup(key string) (*jsonValue, bool) {
	v, ok := r.object.get(key)
	if other, known := r.others[key]; known && (!ok || v.kind == jsonNull) {
		v, ok = r.object.get(other)
	}
	return v, ok && v.kind != jsonNull
}

func (r *ConfigReader) problem(key string, err error) {
	r.found.add(&FieldError{File: r.file, Field: r.prefix + key, Err: err})
}

// wanted reads the first of the keys that is there.
func wanted[T any](r *ConfigReader, keys []string, want string, read func(*jsonValue) (T, bool)) T {
	var zero T
	for _, key := range keys {
		if _, ok := r.lookup(key); ok {
			return optional(r, key, zero, want, read)
		}
	}
	if len(keys) > 0 {
		r.problem(keys[0], fmt.Errorf("%w: want %s", errMissing, want))
	}
	return zero
}

// errMissing is ErrNotFound in the words that fit a field.
var errMissing = &missing{}

type missing struct{}

func (*missing) Error() string { return "missing" }
func (*missing) Unwrap() error { return ErrNotFound }

func optional[T any](r *ConfigReader, key string, def T, want string, read func(*jsonValue) (T, bool)) T {
	v, ok := r.lookup(key)
	if !ok {
		return def
	}
	value, ok := read(v)
	if !ok {
		r.problem(key, &Mismatch{v.describe(), want, ErrValue})
		return def
	}
	return value
}

func jsonInt(v *jsonValue) (int, bool) {
	n, err := strconv.Atoi(v.text)
	return n, v.kind == jsonNumber && err == nil
}

func jsonSize(v *jsonValue) (int, bool) {
	n, ok := jsonInt(v)
	return n, ok && n >= 1
}

// jsonFloat takes what Python's float does of a number: 1e999 is infinity.
func jsonFloat(v *jsonValue) (float64, bool) {
	f, err := strconv.ParseFloat(v.text, 64)
	return f, v.kind == jsonNumber && (err == nil || errors.Is(err, strconv.ErrRange))
}

func jsonText(v *jsonValue) (string, bool) { return v.text, v.kind == jsonString }

func jsonTruth(v *jsonValue) (bool, bool) { return v.truth, v.kind == jsonBool }

func jsonRaw(v *jsonValue) (json.RawMessage, bool) { return appendPythonJSON(nil, v, 0), true }

func jsonStrings(v *jsonValue) ([]string, bool) { return jsonList(v, jsonText) }

func jsonInts(v *jsonValue) ([]int, bool) { return jsonList(v, jsonInt) }

func jsonFloats(v *jsonValue) ([]float64, bool) { return jsonList(v, jsonFloat) }

func jsonList[T any](v *jsonValue, read func(*jsonValue) (T, bool)) ([]T, bool) {
	if v.kind != jsonArray {
		return nil, false
	}
	list := []T{}
	for i := range v.items {
		item, ok := read(&v.items[i])
		if !ok {
			return nil, false
		}
		list = append(list, item)
	}
	return slices.Clip(list), true
}
