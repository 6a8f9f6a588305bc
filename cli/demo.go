package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models/embedded"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:      "demo",
		Usage:     "train an adapter in about a minute, with nothing to download, and predict with it",
		ArgsUsage: " ",
		Description: `Writes a small task into --output, dictionary definitions and what they define, trains a prefix for the embedded base model on it, measures it
on definitions kept apart and predicts a few of them. Every command that it runs is printed first, so that you can go on with your own file.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Usage: "a directory for the data and the adapter", Value: "gopeft-demo"},
		},
		Action: runDemo,
	}
}

// demoPredictions is how many definitions are predicted one by one.
const demoPredictions = 8

func runDemo(c *cli.Context) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	dir := c.String("output")
	texts, labels, err := writeDemoData(dir)
	if err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if _, err := os.Stat(in("adapter/" + hfio.AdapterConfigFile)); errors.Is(err, fs.ErrNotExist) {
		if err := runShown(c, "train", "--data", in("train.tsv"), "--dev", in("dev.tsv"), "--num-train-epochs", "6", "--output", in("adapter")); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.App.ErrWriter, "%s is there from an earlier run: not trained again\n", in("adapter"))
	}
	if err := runShown(c, "eval", "--adapter", in("adapter"), "--data", in("test.tsv")); err != nil {
		return err
	}
	if err := runShown(c, "predict", "--adapter", in("adapter"), texts); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.ErrWriter, `
The dictionary says: %s.

Now with a file of your own, a text and its label a line:
  gopeft train --data mine.tsv --output my-adapter
  gopeft predict --adapter my-adapter texts.txt
`, strings.Join(labels, ", "))
	return err
}

// writeDemoData writes the task and, from its test file, the path that it returns: texts
// without their labels, which it returns too.
func writeDemoData(dir string) (texts string, labels []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", nil, err
	}
	for _, name := range []string{"train.tsv", "dev.tsv", "test.tsv", "LICENSE"} {
		data, err := fs.ReadFile(embedded.Domains(), name)
		if err != nil {
			return "", nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return "", nil, err
		}
	}
	test, err := fs.ReadFile(embedded.Domains(), "test.tsv")
	if err != nil {
		return "", nil, err
	}
	var unlabelled strings.Builder
	for _, line := range strings.Split(string(test), "\n")[1 : 1+demoPredictions] {
		text, label, _ := strings.Cut(line, "\t")
		labels = append(labels, label)
		fmt.Fprintln(&unlabelled, text)
	}
	texts = filepath.Join(dir, "unseen.txt")
	return texts, labels, os.WriteFile(texts, []byte(unlabelled.String()), 0o666)
}

// runShown prints a command line of this program and runs it.
func runShown(c *cli.Context, args ...string) error {
	fmt.Fprintf(c.App.ErrWriter, "\n$ gopeft %s\n", shellLine(args))
	app := newApp(Streams{In: c.App.Reader, Out: c.App.Writer, Err: c.App.ErrWriter})
	return app.RunContext(c.Context, flagsFirst(app, append([]string{"gopeft"}, args...)))
}
