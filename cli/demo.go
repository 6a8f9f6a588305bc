package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/models/embedded/decoder"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:      "demo",
		Usage:     "train an adapter in about a minute, with nothing to download, and answer with it",
		ArgsUsage: " ",
		Description: `Writes a small task into --output, dictionary definitions and what they define, trains an adapter for an embedded base model on it, measures it
on definitions kept apart and answers a few of them. Every command that it runs is printed first, so that you can go on with your own file.

With --task-type SEQ_CLS a prefix makes an encoder choose among the labels; with CAUSAL_LM one makes a decoder, which goes on from a
definition with the word that is defined, write its label instead; the decoder is measured without it, too.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Usage: "a directory for the data and the adapter", Value: "gopeft-demo"},
			&cli.StringFlag{Name: "task-type", Usage: "SEQ_CLS or CAUSAL_LM", Value: string(models.SeqCls)},
		},
		Action: runDemo,
	}
}

// demoAnswers is how many definitions are answered one by one.
const demoAnswers = 8

func runDemo(c *cli.Context) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	demos := map[models.Task]func(*demo) error{models.SeqCls: (*demo).classify, models.CausalLM: (*demo).write}
	run, known := demos[models.Task(enum(c.String("task-type")))]
	if !known {
		return usagef("--task-type: found %q, want %s or %s", c.String("task-type"), models.SeqCls, models.CausalLM)
	}
	d := &demo{c: c, dir: c.String("output")}
	if err := d.writeData(); err != nil {
		return err
	}
	return run(d)
}

// demo is a run of the command.
type demo struct {
	c      *cli.Context
	dir    string
	labels []string // of the definitions in unseen.txt
}

func (d *demo) file(name string) string { return filepath.Join(d.dir, name) }

// classify trains and tries a classifier.
func (d *demo) classify() error {
	adapter := d.file("adapter")
	if err := d.train(adapter, "--num-train-epochs", "6"); err != nil {
		return err
	}
	if err := runShown(d.c, "eval", "--adapter", adapter, "--data", d.file("test.tsv")); err != nil {
		return err
	}
	if err := runShown(d.c, "predict", "--adapter", adapter, d.file("unseen.txt")); err != nil {
		return err
	}
	return d.end(`:
  gopeft train --data mine.tsv --output my-adapter
  gopeft predict --adapter my-adapter texts.txt`)
}

// write trains a prefix for the decoder, and measures the decoder without and with it.
func (d *demo) write() error {
	adapter := d.file("soft-prompt")
	columns := []string{"--column", "text=text", "--column", "target=label"}
	written := []string{"--data", d.file("test.tsv"), "--generate", "--max-new-tokens", "8"}
	if err := runShown(d.c, "generate", "--max-new-tokens", "40", "hammer (noun):"); err != nil {
		return err
	}
	if err := runShown(d.c, slices.Concat([]string{"eval", "--base", decoder.Name}, columns, written)...); err != nil {
		return err
	}
	// The base is so small that its prefix needs a high rate.
	options := []string{"--task-type", "CAUSAL_LM", "--peft-type", "PREFIX_TUNING", "--learning-rate", "0.2", "--num-train-epochs", "6", "--metric", "loss"}
	if err := d.train(adapter, slices.Concat(options, columns)...); err != nil {
		return err
	}
	if err := runShown(d.c, append([]string{"eval", "--adapter", adapter}, written...)...); err != nil {
		return err
	}
	if err := runShown(d.c, "generate", "--adapter", adapter, "--max-new-tokens", "8", "--input", d.file("unseen.txt")); err != nil {
		return err
	}
	return d.end(`, under the heads prompt and completion:
  gopeft train --task-type CAUSAL_LM --learning-rate 0.2 --data mine.tsv --output my-adapter
  gopeft generate --adapter my-adapter --input texts.txt`)
}

// train trains an adapter on the task, unless it is there.
func (d *demo) train(adapter string, options ...string) error {
	if _, err := os.Stat(filepath.Join(adapter, hfio.AdapterConfigFile)); !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(d.c.App.ErrWriter, "%s is there from an earlier run: not trained again\n", adapter)
		return nil
	}
	line := []string{"train", "--data", d.file("train.tsv"), "--dev", d.file("dev.tsv"), "--output", adapter}
	return runShown(d.c, append(line, options...)...)
}

// end says what was to be answered, and how to go on.
func (d *demo) end(next string) error {
	_, err := fmt.Fprintf(d.c.App.ErrWriter, "\nThe dictionary says: %s.\n\nNow with a file of your own, a text and its label a line%s\n", strings.Join(d.labels, ", "), next)
	return err
}

// writeData writes the task and unseen.txt, the first texts of its test file without their labels.
func (d *demo) writeData() error {
	if err := os.MkdirAll(d.dir, 0o777); err != nil {
		return err
	}
	for _, name := range []string{"train.tsv", "dev.tsv", "test.tsv", "LICENSE"} {
		data, err := fs.ReadFile(embedded.Domains(), name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(d.file(name), data, 0o666); err != nil {
			return err
		}
	}
	test, err := fs.ReadFile(embedded.Domains(), "test.tsv")
	if err != nil {
		return err
	}
	var unlabelled strings.Builder
	for _, line := range strings.Split(string(test), "\n")[1 : 1+demoAnswers] {
		text, label, _ := strings.Cut(line, "\t")
		d.labels = append(d.labels, label)
		fmt.Fprintln(&unlabelled, text)
	}
	return os.WriteFile(d.file("unseen.txt"), []byte(unlabelled.String()), 0o666)
}

// runShown prints a command line of this program and runs it.
func runShown(c *cli.Context, args ...string) error {
	fmt.Fprintf(c.App.ErrWriter, "\n$ gopeft %s\n", shellLine(args))
	app := newApp(Streams{In: c.App.Reader, Out: c.App.Writer, Err: c.App.ErrWriter})
	return app.RunContext(c.Context, flagsFirst(app, append([]string{"gopeft"}, args...)))
}
