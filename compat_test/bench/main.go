// Command bench compares the speed of gopeft with that of Python PEFT on the CPU of
// this machine: `make bench-peft`. Both run in turns, each time in a process of its own,
// on the same files; what they compute is compared before any time is believed.
//
// Begin at the table in rows.go: a row is an entry there. Timings never fail the command;
// numbers that differ and workers that crash do. Only a whole run writes its document,
// at its end.
//
// Letters in the comments: T tokens, P virtual tokens, R rows, d hidden, L layers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
)

// settings are the command line.
type settings struct {
	python, oracle, gopeft         string // the programs
	minilm, smollm2, stories, text string // what is measured on
	work                           string // where adapters and batches are made
	rounds                         int
	rows                           *regexp.Regexp
	quick                          bool
	under                          []string // a command to run every worker under
	out                            string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == workCommand {
		return work(ctx, args[1])
	}
	s, err := parse(args)
	if err != nil {
		return err
	}
	b, err := prepare(ctx, s)
	if err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	document := b.document()
	if s.out == "" {
		fmt.Print(document)
		return nil
	}
	fmt.Print(b.speedTable())
	return replaceFile(s.out, document)
}

func parse(args []string) (settings, error) {
	var s settings
	var rows, under string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&s.python, "python", "", "python with the oracle's packages (compat_test/oracle/setup.sh)")
	f.StringVar(&s.oracle, "oracle", "compat_test/oracle", "directory of oracle.py")
	f.StringVar(&s.gopeft, "gopeft", "bin/gopeft", "the gopeft command")
	f.StringVar(&s.minilm, "minilm", "", "model directory of all-MiniLM-L6-v2 (compat_test/oracle/minilm.sh)")
	f.StringVar(&s.smollm2, "smollm2", "", "model directory of SmolLM2-135M-Instruct (compat_test/oracle/smollm2.sh)")
	f.StringVar(&s.stories, "stories", "", "stories260K.bin, a Llama in the format of llama2.c; without it its rows are left out")
	f.StringVar(&s.text, "text", "", "labelled sentences for the rows in natural lengths")
	f.StringVar(&s.work, "work", "build/bench", "directory for what is made for the run")
	f.IntVar(&s.rounds, "rounds", 5, "rounds of every row")
	f.StringVar(&rows, "rows", "", "only rows whose name matches this regular expression")
	f.BoolVar(&s.quick, "quick", false, "one round and few steps, to see whether everything works")
	f.StringVar(&under, "under", "", "a command with arguments to run every worker under, such as taskset or nice")
	f.StringVar(&s.out, "out", "", "write the document to this file, not to standard output")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if s.python == "" || s.minilm == "" || s.smollm2 == "" || s.text == "" {
		return s, errors.New("want -python, -minilm, -smollm2 and -text; see `make bench-peft`")
	}
	if s.out != "" && (s.quick || rows != "") {
		return s, errors.New("-out: want neither -quick nor -rows with it: the document is that of a whole run")
	}
	if s.rounds < 1 {
		return s, fmt.Errorf("-rounds: found %d, want 1 or more", s.rounds)
	}
	if s.quick {
		s.rounds = 1
	}
	s.under = strings.Fields(under)
	var err error
	s.rows, err = regexp.Compile(rows)
	return s, err
}

// replaceFile writes a file in one step, so that an interruption leaves the old one.
func replaceFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
