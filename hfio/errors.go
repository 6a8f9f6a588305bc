package hfio

import (
	"errors"
	"fmt"
)

// Sentinels that callers branch on with errors.Is. The errors of this package
// wrap one of them, or an error of the file system (fs.ErrNotExist, …).
var (
	// ErrFormat: the bytes are not a file of the format they should be.
	ErrFormat = errors.New("malformed file")
	// ErrNotFound: no tensor, key or weights file of that name.
	ErrNotFound = errors.New("not found")
	// ErrShape: a shape that is impossible, or does not fit the data.
	ErrShape = errors.New("wrong shape")
	// ErrDType: a dtype that is unknown, or that the operation cannot take.
	ErrDType = errors.New("wrong dtype")
	// ErrValue: a field whose value has the wrong type or range.
	ErrValue = errors.New("wrong value")
	// ErrUnsupported: a well-formed file which uses something outside of what is read.
	ErrUnsupported = errors.New("not supported")
)

// FieldError is a problem of one field of a JSON file.
type FieldError struct {
	File  string // as the user named it: dir/adapter_config.json
	Field string // the key; nested keys are joined with "."
	Err   error
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: field %q: %v", e.File, e.Field, e.Err)
}

// Unwrap returns the problem itself.
func (e *FieldError) Unwrap() error { return e.Err }

// TensorError is a problem of one tensor of a weights file.
type TensorError struct {
	File string // empty where the tensor is in no file yet
	Name string
	Err  error
}

func (e *TensorError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("tensor %q: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s: tensor %q: %v", e.File, e.Name, e.Err)
}

// Unwrap returns the problem itself.
func (e *TensorError) Unwrap() error { return e.Err }

// Mismatch says what was found and what was wanted in its place.
type Mismatch struct {
	Found, Want string
	Kind        error // the sentinel it counts as: ErrValue, ErrShape or ErrDType
}

func (e *Mismatch) Error() string {
	return fmt.Sprintf("found %s, want %s", e.Found, e.Want)
}

// Unwrap returns the sentinel.
func (e *Mismatch) Unwrap() error { return e.Kind }

// formatError reports bytes that break the format of a file.
func formatError(file, text string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", file, ErrFormat, fmt.Sprintf(text, args...))
}

// maxProblems bounds the report of one file: a broken header may hold a hundred
// thousand entries, and nobody reads that many lines.
const maxProblems = 50

// problems collects what is wrong in one file.
type problems struct {
	errs []error
	more int
}

func (p *problems) add(err error) {
	switch {
	case err == nil:
	case len(p.errs) < maxProblems:
		p.errs = append(p.errs, err)
	default:
		p.more++
	}
}

func (p *problems) err() error {
	if p.more == 0 {
		return errors.Join(p.errs...)
	}
	rest := fmt.Errorf("and %d more problems", p.more)
	return errors.Join(append(p.errs[:len(p.errs):len(p.errs)], rest)...)
}
