package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// server is a Python process that has imported its libraries. It forks a worker for every
// job, which so is a process of its own without the seconds that importing takes.
type server struct {
	command *exec.Cmd
	jobs    io.WriteCloser
	answers *bufio.Reader
	stderr  bytes.Buffer
}

// server returns the one with this OMP_WAIT_POLICY, "" for none, which libraries read once.
func (b *bench) server(ctx context.Context, policy string) (*server, error) {
	if s := b.servers[policy]; s != nil {
		return s, nil
	}
	argv := slices.Concat(b.under, []string{b.python, filepath.Join(b.oracle, "oracle.py"), "bench"})
	s := &server{command: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	s.command.Env = os.Environ()
	if policy != "" {
		s.command.Env = append(s.command.Env, "OMP_WAIT_POLICY="+policy)
	}
	s.command.Stderr = &s.stderr
	var err error
	if s.jobs, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.answers = bufio.NewReader(output)
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	b.servers[policy] = s
	return s, nil
}

// run has a worker do the job in a file and returns its answer. After an error the server is of no use.
func (s *server) run(path string) ([]byte, error) {
	_, err := fmt.Fprintln(s.jobs, path)
	if err == nil {
		var line []byte
		if line, err = s.answers.ReadBytes('\n'); err == nil {
			return line, nil
		}
	}
	closeErr := s.close() // all of standard error is there then
	return nil, fmt.Errorf("%s on %s: %w: %v\n%s", strings.Join(s.command.Args, " "), path, err, closeErr, s.stderr.Bytes())
}

// close lets the server end.
func (s *server) close() error {
	s.jobs.Close() // nothing is buffered in it
	return s.command.Wait()
}
