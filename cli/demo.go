package cli

import (
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
		Description: `Writes a small task into --output, dictionary definitions and what they define, trains on it for an embedded base model, measures what was trained
on definitions kept apart and tries it. Every command that it runs is printed first, so that you can go on with your own file.

With --task-type SEQ_CLS a prefix makes an encoder say what a definition defines. With CAUSAL_LM a soft prompt makes a decoder write definitions of plants,
and trained tokens in a template make it say what a definition defines; it is measured without them, too.`,
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
	adapter, test := d.file("adapter"), d.file("test.tsv")
	if err := d.run(
		[]string{"train", "--data", d.file("train.tsv"), "--dev", d.file("dev.tsv"), "--num-train-epochs", "6", "--output", adapter},
		[]string{"eval", "--adapter", adapter, "--data", test},
		[]string{"predict", "--adapter", adapter, d.file("unseen.txt")},
	); err != nil {
		return err
	}
	return d.end(`a text and its label a line:
  gopeft train --data mine.tsv --output my-adapter
  gopeft predict --adapter my-adapter texts.txt`)
}

// demoTemplate is answered by demoWords, of which each is one token of the decoder.
const (
	demoTemplate = "{text} [P1][P2][P3] is a kind of [P4] [MASK]"
	demoByHand   = "{text} is a kind of [MASK]"
	demoWords    = "act=act;animal=animal;artifact=object;body=body;communication=communication;feeling=feeling;food=food;person=person;plant=plant;substance=substance"
)

// write trains a soft prompt with which the decoder writes definitions of plants, and a template with which
// it says what a definition defines, and measures it without and with them.
func (d *demo) write() error {
	prompt, plants := d.file("plants"), d.file("plant-test.tsv")
	tokens, test := d.file("template"), d.file("test.tsv")
	sample := []string{"--do-sample", "--temperature", "0.5", "--max-new-tokens", "30", "--num-return-sequences", "4"}
	if err := d.run(
		slices.Concat([]string{"generate"}, sample, []string{"plant (noun):"}),
		[]string{"eval", "--base", decoder.Name, "--data", plants},
		[]string{
			"train", "--task-type", "CAUSAL_LM", "--data", d.file("plant-train.tsv"), "--dev", d.file("plant-dev.tsv"), "--peft-type", "PROMPT_TUNING",
			"--learning-rate", "0.05", "--batch-size", "8", "--num-train-epochs", "6", "--output", prompt,
		},
		[]string{"eval", "--adapter", prompt, "--data", plants},
		slices.Concat([]string{"generate", "--adapter", prompt}, sample, []string{"plant"}),
		[]string{"eval", "--base", decoder.Name, "--data", test, "--template", demoByHand, "--verbalizer", demoWords},
		[]string{
			"train", "--base", decoder.Name, "--data", d.file("train.tsv"), "--dev", d.file("dev.tsv"), "--template", demoTemplate, "--verbalizer", demoWords,
			"--num-train-epochs", "2", "--output", tokens,
		},
		[]string{"eval", "--adapter", tokens, "--data", test},
		[]string{"predict", "--adapter", tokens, d.file("unseen.txt")},
	); err != nil {
		return err
	}
	return d.end(`with columns named prompt and completion:
  gopeft train --task-type CAUSAL_LM --peft-type PROMPT_TUNING --data mine.tsv --output my-prompt
  gopeft generate --adapter my-prompt "a prompt"`)
}

// run runs command lines, but for the training of what is there.
func (d *demo) run(lines ...[]string) error {
	for _, line := range lines {
		if at := slices.Index(line, "--output"); at >= 0 && holds(line[at+1], hfio.AdapterConfigFile) {
			fmt.Fprintf(d.c.App.ErrWriter, "%s is there from an earlier run: not trained again\n", line[at+1])
			continue
		}
		if err := runShown(d.c, line...); err != nil {
			return err
		}
	}
	return nil
}

// end says what was to be answered, and how to go on.
func (d *demo) end(next string) error {
	_, err := fmt.Fprintf(d.c.App.ErrWriter, "\nThe dictionary says: %s.\n\nNow with a file of your own, %s\n", strings.Join(d.labels, ", "), next)
	return err
}

// writeData writes the task; plant-train.tsv and its like, the label and the definitions of plants; and unseen.txt, the
// first texts of the test file without their labels.
func (d *demo) writeData() error {
	if err := os.MkdirAll(d.dir, 0o777); err != nil {
		return err
	}
	files := map[string]string{}
	for _, name := range []string{"train.tsv", "dev.tsv", "test.tsv", "LICENSE"} {
		data, err := fs.ReadFile(embedded.Domains(), name)
		if err != nil {
			return err
		}
		files[name] = string(data)
	}
	for _, name := range []string{"train.tsv", "dev.tsv", "test.tsv"} {
		files["plant-"+name] = "prompt\tcompletion\n"
		for i, line := range strings.Split(strings.TrimSpace(files[name]), "\n")[1:] {
			text, label, _ := strings.Cut(line, "\t")
			if label == "plant" {
				files["plant-"+name] += label + "\t" + text + "\n"
			}
			if name == "test.tsv" && i < demoAnswers {
				files["unseen.txt"] += text + "\n"
				d.labels = append(d.labels, label)
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(d.file(name), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// runShown prints a command line of this program and runs it.
func runShown(c *cli.Context, args ...string) error {
	fmt.Fprintf(c.App.ErrWriter, "\n$ gopeft %s\n", shellLine(args))
	app := newApp(Streams{In: c.App.Reader, Out: c.App.Writer, Err: c.App.ErrWriter})
	return app.RunContext(c.Context, flagsFirst(app, append([]string{"gopeft"}, args...)))
}
