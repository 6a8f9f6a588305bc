package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
)

func mergeCommand() *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "make a model of its own of a base and a LORA adapter",
		ArgsUsage: "DIR",
		Description: `Adds the adapter to the base's weights and writes them, with the adapter's head, the labels and the base's tokenizer, as a transformers model
into DIR, which must not hold one. Weights keep the base's dtype.`,
		Flags: []cli.Flag{
			baseFlag(),
			&cli.StringFlag{Name: "adapter", Usage: "the adapter's directory", Required: true},
		},
		Action: runMerge,
	}
}

func runMerge(c *cli.Context) error {
	args, err := wantArgs(c, "DIR")
	if err != nil {
		return err
	}
	file, err := openAdapter(c.String("adapter"))
	if err != nil {
		return err
	}
	defer file.Close()
	warnUnfinished(c)
	base, err := openBase(c, baseName(c))
	if err != nil {
		return err
	}
	defer base.Close()
	config, tensors, err := base.Merge(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.String("adapter"), err)
	}
	tokenizer, err := tokenizerFiles(base.Files())
	if err != nil {
		return err
	}
	if err := hfio.WriteModel(args[0], config, tensors, tokenizer); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "gopeft: wrote %s\n", filepath.Clean(args[0]))
	return nil
}

// tokenizerFiles reads the files of a tokenizer that are there.
func tokenizerFiles(from fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range []string{
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
	} {
		data, err := fs.ReadFile(from, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}
