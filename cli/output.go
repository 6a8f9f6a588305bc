package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// printJSON prints a value as one line of JSON, with <, > and & as they are.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	if unsupported := (*json.UnsupportedValueError)(nil); errors.As(err, &unsupported) {
		return fmt.Errorf("the result holds %s, which JSON cannot hold: the adapter or the base holds NaN or infinite values", unsupported.Str)
	}
	return err
}

// parseJSON reads a line of JSON; want says in errors what it should be.
func parseJSON(line []byte, into any, want string) error {
	err := json.Unmarshal(line, into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return fmt.Errorf("field %q: found a JSON %s, want %s", wrongType.Field, wrongType.Value, want)
	case errors.As(err, &wrongType):
		return fmt.Errorf("found a JSON %s, want %s", wrongType.Value, want)
	}
	return fmt.Errorf("want %s: %w", want, err)
}

// table prints rows under a header, in aligned columns.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, header ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if len(header) > 0 {
		t.row(header...)
	}
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

func (t *table) flush() error { return t.w.Flush() }

// maxLine bounds one line of input.
const maxLine = 64 << 20

// eachLine calls f with every line of r; an error of f is given the line's number,
// from 1. Of JSON lines the blank ones are left out.
func eachLine(name string, r io.Reader, isJSON bool, f func(line []byte) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for scanner.Scan() {
		number++
		if isJSON && len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		if err := f(scanner.Bytes()); err != nil {
			return fmt.Errorf("%s: line %d: %w", name, number, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%s: line %d: %w", name, number+1, err)
	}
	return nil
}
