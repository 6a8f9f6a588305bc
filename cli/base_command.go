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
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/models/embedded/decoder"
)

func baseCommand() *cli.Command {
	return &cli.Command{
		Name:      "base",
		Usage:     "write a base model of this program as a directory of transformers",
		ArgsUsage: "DIR",
		Description: `Writes a model that is part of this program into DIR, which must not hold a model: config.json, model.safetensors and the
tokenizer. Python PEFT needs it as the base of an adapter that was trained without --base:
   PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained("DIR", num_labels=...), "my-adapter")
   PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("DIR"), "my-adapter")          # ` + decoder.Name + `, of CAUSAL_LM`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "the model, as base_model_name_or_path of an adapter has it: " + strings.Join(embeddedNames(), " or "), Value: embedded.Name},
		},
		Action: runBase,
	}
}

func runBase(c *cli.Context) error {
	args, err := wantArgs(c, "DIR")
	if err != nil {
		return err
	}
	model, isEmbedded := embeddedModels[c.String("name")]
	if !isEmbedded {
		return usagef("--name: found %q, want one of %v", c.String("name"), embeddedNames())
	}
	files := model()
	config := filepath.Join(args[0], hfio.ModelConfigFile)
	if _, err := os.Stat(config); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: want a directory without a model", config, fs.ErrExist)
	}
	if err := os.MkdirAll(args[0], 0o777); err != nil {
		return err
	}
	names, err := fs.Glob(files, "*")
	if err != nil {
		return err
	}
	// The config comes last: a directory that has one holds a whole model.
	names = append(slices.DeleteFunc(names, func(name string) bool { return name == hfio.ModelConfigFile }), hfio.ModelConfigFile)
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := hfio.WriteFile(filepath.Join(args[0], name), data); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.App.ErrWriter, "gopeft: wrote %s\n", filepath.Clean(args[0]))
	return nil
}
