package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FieldError says what is wrong with one field of a tokenizer file.
type FieldError struct {
	File  string
	Field string // a path such as normalizer.type or added_tokens[3].id
	Found string
	Want  string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s: %s, want %s", e.File, e.Found, e.Want)
	}
	return fmt.Sprintf("%s: field %q: %s, want %s", e.File, e.Field, e.Found, e.Want)
}

// object reads a JSON object field by field. What is wrong is collected, and
// the reading goes on with zero values, so that a file's problems come out together.
type object struct {
	path   string
	fields map[string]json.RawMessage
	read   map[string]bool
	log    *problems
}

type problems struct {
	file string
	errs []error
}

func (p *problems) add(field, found, want string) {
	p.errs = append(p.errs, &FieldError{p.file, field, found, want})
}

func (p *problems) err() error { return errors.Join(p.errs...) }

func quoted(s string) string { return strconv.Quote(s) }

// shown is a JSON value for a message, shortened.
func shown(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "nothing"
	}
	const most = 40
	if s := []rune(string(raw)); len(s) > most {
		return string(s[:most]) + "…"
	}
	return string(raw)
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

func newObject(path string, raw json.RawMessage, log *problems) *object {
	o := &object{path: path, read: map[string]bool{}, log: log}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		log.add(path, shown(raw), "an object")
		o.fields = map[string]json.RawMessage{}
		return nil
	}
	return o
}

func (o *object) at(field string) string {
	if o.path == "" {
		return field
	}
	return o.path + "." + field
}

func (o *object) wrong(field, found, want string) { o.log.add(o.at(field), found, want) }

func (o *object) raw(field string) json.RawMessage {
	o.read[field] = true
	return o.fields[field]
}

// done reports the fields that nothing has asked for.
func (o *object) done() {
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		if !o.read[name] {
			o.wrong(name, shown(o.fields[name]), "no such field: its meaning is unknown here")
		}
	}
}

func decodeField[T any](o *object, field, want string) T {
	var value T
	raw := o.raw(field)
	if isNull(raw) || json.Unmarshal(raw, &value) != nil {
		o.wrong(field, shown(raw), want)
		var zero T
		return zero
	}
	return value
}

func (o *object) bool(field string) bool     { return decodeField[bool](o, field, "true or false") }
func (o *object) string(field string) string { return decodeField[string](o, field, "a string") }

// character reads a string of one character.
func (o *object) character(field string) rune {
	s := o.string(field)
	r, size := utf8.DecodeRuneInString(s)
	if size != len(s) || s == "" {
		o.wrong(field, quoted(s), "one character")
	}
	return r
}

func (o *object) optionalBool(field string, otherwise bool) bool {
	if isNull(o.raw(field)) {
		return otherwise
	}
	return o.bool(field)
}

func (o *object) optionalInt(field string, otherwise int) int {
	if isNull(o.raw(field)) {
		return otherwise
	}
	return o.int(field)
}

func (o *object) optionalString(field, otherwise string) string {
	if isNull(o.raw(field)) {
		return otherwise
	}
	return o.string(field)
}

func (o *object) has(field string) bool {
	_, ok := o.fields[field]
	return ok
}

// maxID is the largest id the reference can hold.
const maxID = 1<<31 - 1

func (o *object) int(field string) int {
	n := decodeField[int](o, field, "an integer")
	if n < 0 || n > maxID {
		o.wrong(field, strconv.Itoa(n), "0 or more, below 2^31")
		return 0
	}
	return n
}

func (o *object) ints(field string) []int {
	values := decodeField[[]int](o, field, "a list of ids")
	for _, n := range values {
		if n < 0 || n > maxID {
			o.wrong(field, strconv.Itoa(n), "ids from 0, below 2^31")
			return nil
		}
	}
	return values
}

func (o *object) strings(field string) []string {
	return decodeField[[]string](o, field, "a list of strings")
}

// list returns the objects of a list; those that are none are reported and left out.
func (o *object) list(field string) []*object {
	var items []*object
	for i, raw := range decodeField[[]json.RawMessage](o, field, "a list") {
		if item := newObject(fmt.Sprintf("%s[%d]", o.at(field), i), raw, o.log); item != nil {
			items = append(items, item)
		}
	}
	return items
}

// objects returns the objects of an object, by name.
func (o *object) objects(field string) map[string]*object {
	items := map[string]*object{}
	all := decodeField[map[string]json.RawMessage](o, field, "an object")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if item := newObject(o.at(field)+"."+name, all[name], o.log); item != nil {
			items[name] = item
		}
	}
	return items
}

// only returns the name and content of an object's one field, which must be one of names.
func (o *object) only(names ...string) (string, *object) {
	for _, name := range names {
		if _, ok := o.fields[name]; ok {
			raw := o.raw(name)
			o.done()
			return name, newObject(o.at(name), raw, o.log)
		}
	}
	o.log.add(o.path, "fields "+strings.Join(slices.Sorted(maps.Keys(o.fields)), ", "), "one of "+strings.Join(names, ", "))
	return "", nil
}

// tokenWithID reads ["[CLS]", 101].
func (o *object) tokenWithID(field string) (token string, id int) {
	raw := o.raw(field)
	if json.Unmarshal(raw, &[]any{&token, &id}) != nil || id < 0 || id > maxID {
		o.wrong(field, shown(raw), "a token and its id")
		return "", 0
	}
	return token, id
}

// component reads a part of the pipeline by its "type"; the zero value stands for null.
func component[T any](o *object, field string, kinds map[string]func(*object) T) T {
	var none T
	raw := o.raw(field)
	if isNull(raw) {
		return none
	}
	part := newObject(o.at(field), raw, o.log)
	if part == nil {
		return none
	}
	return readKind(part, part.string("type"), kinds)
}

func readKind[T any](part *object, kind string, kinds map[string]func(*object) T) T {
	read, ok := kinds[kind]
	if !ok {
		part.wrong("type", quoted(kind), "one of "+strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		var none T
		return none
	}
	value := read(part)
	part.done()
	return value
}

// components reads a list of parts of a pipeline.
func components[T any](o *object, field string, kinds map[string]func(*object) T) []T {
	var parts []T
	for _, part := range o.list(field) {
		parts = append(parts, readKind(part, part.string("type"), kinds))
	}
	return parts
}
