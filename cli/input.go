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

	"github.com/urfave/cli/v2"
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
// "" and "-". An error of f is given the line's number, from 1. Of JSON lines the
// blank ones are left out.
func eachInputLine(c *cli.Context, path string, isJSON bool, f func(line []byte) error) error {
	if path == "" || path == "-" {
		return eachLine(c.Context, "standard input", interruptible{c.Context, c.App.Reader}, isJSON, f)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return eachLine(c.Context, path, file, isJSON, f)
}

// maxLine bounds one line of input.
const maxLine = 64 << 20

func eachLine(ctx context.Context, name string, r io.Reader, isJSON bool, f func(line []byte) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for scanner.Scan() {
		number++
		if isJSON && len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		err := ctx.Err()
		if err == nil {
			err = f(scanner.Bytes())
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
