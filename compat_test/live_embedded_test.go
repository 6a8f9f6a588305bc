package compat_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/tokenize"
)

// TestLiveEmbedded compares the embedded base's scores for every word with those of
// transformers, in double precision, on definitions that it never saw.
func TestLiveEmbedded(t *testing.T) {
	o := needOracle(t)
	model, base, err := auto.Load(embedded.Files(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	tokenizer, err := tokenize.Load(embedded.Files())
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(embedded.Domains(), "test.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var examples []example
	for _, line := range strings.Split(string(data), "\n")[1:13] {
		text, _, _ := strings.Cut(line, "\t")
		encoding, err := tokenizer.Encode(text+" [MASK]", nil)
		if err != nil {
			t.Fatal(err)
		}
		examples = append(examples, example{IDs: encoding.IDs, TypeIDs: make([]int, len(encoding.IDs))})
	}
	input, output := filepath.Join(t.TempDir(), "input.jsonl"), filepath.Join(t.TempDir(), "output.jsonl")
	writeLines(t, input, examples)
	o.call(t, "forward", "--base", "../models/embedded/model", "--task", string(models.MaskedLM), "--dtype", "float64", "--input", input, "--output", output)
	compareForward(t, tuned{forward: model.Forward, task: models.MaskedLM}, examples, readAnswers(t, output))
}
