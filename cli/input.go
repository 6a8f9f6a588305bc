package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/internal/joined"
	"github.com/gopeft/gopeft/predict"
)

// optionalFile returns the one argument of a command that reads a file or, where
// there is none, standard input.
func optionalFile(c *cli.Context) (string, error) {
	if c.NArg() > 1 {
		return "", usagef("%s: found %d arguments, want at most one FILE", c.Command.Name, c.NArg())
	}
	return c.Args().First(), nil
}

// eachInputLine calls f with every line of the named file, or of standard input for
// "" and "-", and its number, from 1, which an error of f is given. Of JSON lines the
// blank ones are left out. A byte order mark is no part of the first line.
func eachInputLine(c *cli.Context, path string, isJSON bool, f func(number int, line []byte) error) error {
	if isStandard(path) {
		return eachLine(c.Context, standardInput, interruptible{c.Context, c.App.Reader}, isJSON, f)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("%s: found a directory, want a file", path)
	}
	if ext := strings.ToLower(filepath.Ext(path)); !isJSON && slices.Contains(notTexts, ext) {
		fmt.Fprintf(c.App.ErrWriter, "gopeft: warning: %s: a name that ends in %s, and each line is taken for a text as it is; JSON objects are read with --jsonl\n", path, ext)
	}
	return eachLine(c.Context, path, file, isJSON, f)
}

// notTexts end the names of files that commonly hold more than a text a line.
var notTexts = []string{".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet"}

const standardInput = "standard input"

// isStandard tells whether a path stands for standard input.
func isStandard(path string) bool { return path == "" || path == "-" }

// located says of inputs in errors in which lines of a file they are; nil: there is one input,
// which needs no name.
func located(err error, path string, lines []int) error {
	if isStandard(path) {
		path = standardInput
	}
	return mapErrors(err, func(err error) error {
		var wrong *predict.InputError
		switch {
		case !errors.As(err, &wrong):
			return err
		case lines == nil:
			return wrong.Err
		}
		return fmt.Errorf("%s: line %d: %w", path, lines[wrong.Input], wrong.Err)
	})
}

// mapErrors puts what f makes of it in place of each of the errors that are joined in one.
func mapErrors(err error, f func(error) error) error {
	var all []error
	for _, one := range joined.Parts(err) {
		all = append(all, f(one))
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// maxLine bounds one line of input.
const maxLine = 64 << 20

func eachLine(ctx context.Context, name string, r io.Reader, isJSON bool, f func(number int, line []byte) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for scanner.Scan() {
		number++
		line := scanner.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if isJSON && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		err := ctx.Err()
		if err == nil {
			err = f(number, line)
		}
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", name, number, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%s: line %d: %w", name, number+1, err)
	}
	return nil
}

// interruptible reads from r, and stops waiting for it when the context ends: a
// terminal or a pipe may stay silent for ever.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	buffer := make([]byte, len(p)) // p is not ours any more after an interruption
	done := make(chan result, 1)
	go func() {
		n, err := i.r.Read(buffer)
		done <- result{n, err}
	}()
	select {
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	case got := <-done:
		return copy(p, buffer[:got.n]), got.err
	}
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
