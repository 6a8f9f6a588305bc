package train

import (
	"errors"
	"fmt"
	"strings"
)

// MaxProblems is how many problems of a data file are reported at once.
const MaxProblems = 20

// ErrData is what every DataError is.
var ErrData = errors.New("wrong data")

// DataError is a problem of a data file.
type DataError struct {
	File   string
	Line   int    // from 1; 0: of the whole file
	Column string // "" where it concerns no column
	Role   string // that no column was found for; "" where it concerns none
	Found  string
	Want   string
}

func (e *DataError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Column != "" {
		fmt.Fprintf(&b, ": column %s", e.Column)
	}
	fmt.Fprintf(&b, ": found %s, want %s", e.Found, e.Want)
	return b.String()
}

// Unwrap returns ErrData.
func (e *DataError) Unwrap() error { return ErrData }

// problems collects what is wrong with one file.
type problems struct {
	file string
	list []error
	more int
}

func (p *problems) add(line int, column, found, want string) {
	p.addError(&DataError{Line: line, Column: column, Found: found, Want: want})
}

func (p *problems) addError(e *DataError) {
	if len(p.list) == MaxProblems {
		p.more++
		return
	}
	e.File = p.file
	p.list = append(p.list, e)
}

func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.list, fmt.Errorf("%s: %d more problems", p.file, p.more))...)
	}
	return errors.Join(p.list...)
}

var (
	errAfterObject = errors.New("more after the object")
	errNull        = errors.New("null")
	errCutShort    = errors.New("an object that ends too early")
)
