// Package cli is the command gopeft: it parses flags, calls the library and
// prints. Start at [Run]. It never ends the process and keeps no state.
//
// Results go to the output stream, everything else to the error stream.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
)

// Exit statuses.
const (
	StatusOK          = 0
	StatusFailed      = 1 // the data, the model or the adapter is wrong
	StatusUsage       = 2 // the command line is wrong
	StatusInterrupted = 130
)

// Streams are the command's input and outputs.
type Streams struct {
	In  io.Reader
	Out io.Writer // results
	Err io.Writer // everything else
}

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// errReported ends a command whose findings are printed already.
var errReported = errors.New("problems were found")

// Run runs the command line args, whose first element is the program's name, and
// returns the exit status. Flags and arguments may come in any order.
func Run(ctx context.Context, args []string, streams Streams) int {
	out := &results{w: streams.Out}
	streams.Out = out
	app := newApp(streams)
	err := app.RunContext(ctx, flagsFirst(app, args))
	if err == nil {
		err = out.err
	}
	var usage *usageError
	var help cli.ExitCoder // an unknown topic
	switch {
	case err == nil:
		return StatusOK
	case errors.Is(err, errReported):
		return StatusFailed
	case err == context.Canceled: // which says nothing more
		fmt.Fprintln(streams.Err, "gopeft: interrupted")
		return StatusInterrupted
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(streams.Err, "gopeft: interrupted: %v\n", err)
		return StatusInterrupted
	case errors.As(err, &usage), errors.As(err, &help):
		fmt.Fprintf(streams.Err, "gopeft: %v\n", err)
		return StatusUsage
	}
	fmt.Fprintf(streams.Err, "gopeft: error: %v\n", err)
	return StatusFailed
}

func newApp(streams Streams) *cli.App {
	app := &cli.App{
		Name:      "gopeft",
		Usage:     "train, run, inspect and convert Hugging Face PEFT soft prompts and LoRA, without Python",
		Version:   version(),
		Reader:    streams.In,
		Writer:    streams.Out,
		ErrWriter: streams.Err,
		Commands:  commands(),
		// A value with commas is one value: flags that take several are given several times.
		DisableSliceFlagSeparator: true,
		OnUsageError: func(c *cli.Context, err error, _ bool) error {
			return usagef("%s; see gopeft --help", flagProblem(err, c.App.Flags))
		},
		ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("unknown command %q. %s See gopeft --help", c.Args().First(), cli.SuggestCommand(c.App.Commands, c.Args().First()))
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = func(c *cli.Context, err error, _ bool) error {
			return usagef("%s: %s; see gopeft %s --help", command.Name, flagProblem(err, command.Flags), command.Name)
		}
		command.Before = prepare(takeRequired(command))
	}
	return app
}

// takeRequired returns the flags that a command needs, and leaves the checking to
// prepare: a run file may give them, and a missing one shall not print the whole help.
func takeRequired(command *cli.Command) []string {
	var names []string
	for _, flag := range command.Flags {
		if text, ok := flag.(*cli.StringFlag); ok && text.Required {
			text.Required = false
			text.Usage += " (required)"
			names = append(names, text.Name)
		}
	}
	return names
}

// prepare reads the run file, where a command has one, and then checks that every
// required flag is set.
func prepare(required []string) cli.BeforeFunc {
	return func(c *cli.Context) error {
		if path := c.String(runFileFlag); path != "" {
			if err := applyRunFile(c, path); err != nil {
				return err
			}
		}
		if c.IsSet("base") && c.String("base") == "" {
			return usagef("%s: --base is empty", c.Command.Name)
		}
		for _, name := range required {
			if c.String(name) == "" {
				return usagef("%s: --%s is missing; see gopeft %s --help", c.Command.Name, name, c.Command.Name)
			}
		}
		return nil
	}
}

// commands is the table of commands, in the order of the help.
func commands() []*cli.Command {
	return []*cli.Command{
		demoCommand(),
		trainCommand(),
		compareCommand(),
		predictCommand(),
		generateCommand(),
		evalCommand(),
		inspectCommand(),
		validateCommand(),
		diffCommand(),
		convertCommand(),
		mergeCommand(),
		baseCommand(),
		forwardCommand(),
		tokenizeCommand(),
	}
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// wantArgs returns exactly n arguments, named for the error message.
func wantArgs(c *cli.Context, names ...string) ([]string, error) {
	args := c.Args().Slice()
	if len(args) == len(names) {
		if at := slices.Index(args, ""); at >= 0 {
			return nil, usagef("%s: %s is empty", c.Command.Name, names[at])
		}
		return args, nil
	}
	if len(names) == 0 {
		return nil, usagef("%s: found the argument %q, want options only", c.Command.Name, args[0])
	}
	return nil, usagef("%s: found %d arguments, want %s; see gopeft %s --help", c.Command.Name, len(args), strings.Join(names, " "), c.Command.Name)
}

// missingError is a path with nothing there.
type missingError struct{ path string }

func (e *missingError) Error() string { return e.path + ": no such file or directory" }
func (e *missingError) Unwrap() error { return fs.ErrNotExist }

// openDir returns the files of a directory, or a GGUF file, which must be there.
func openDir(path string) (fs.FS, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &missingError{path}
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() && filepath.Ext(path) != ".gguf" {
		return nil, fmt.Errorf("%s: found a file, want a directory", path)
	}
	return hfio.Dir(path), nil
}
