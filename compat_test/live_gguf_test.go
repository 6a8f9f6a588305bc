package compat_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// TestTokenizersOfGGUF: what hfio makes of a file's tokenizer, which its tests compare with what
// transformers makes, is one that tokenize knows.
func TestTokenizersOfGGUF(t *testing.T) {
	files, err := filepath.Glob("../hfio/testdata/gguf/tokenizers/*.gguf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		made, err := hfio.TokenizerFiles(hfio.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokenize.Load(made); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestLiveGGUF compares bases in GGUF files with what transformers makes of the same files, one of
// them under adapters. The other files of hfio's tests say more than transformers reads of them (scaling of
// positions, biases, soft-caps): there the models that they were made of are the witness.
func TestLiveGGUF(t *testing.T) {
	o := needOracle(t)
	c := taskCase{name: string(models.CausalLM), task: models.CausalLM}
	for _, name := range []string{"llama", "llama-f16", "llama-q4_0", "llama-q4_1", "llama-q8_0", "llama-q2_k", "llama-q2_k-short", "llama-q3_k_m", "llama-q4_k_m", "llama-q5_k_m"} {
		t.Run(name, func(t *testing.T) {
			base := liveBase{dir: t.TempDir(), vocab: 24, decoder: true}
			data, err := os.ReadFile(filepath.Join("../hfio/testdata/gguf", name, "model.gguf"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(base.dir, "model.gguf"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			cell := cell{oracle: o, taskCase: c, base: base, folder: t.TempDir()}
			examples := drawExamples(c, base, seeded(5), 9, 2, 14)
			compareForward(t, c.ask(openBase(t, base.dir, models.HeadSpec{}, 0).Forward), examples, cell.baseAnswers(t, examples))
			for _, v := range decoderVariants {
				if name == "llama" && slices.Contains(trainedOn, v.name) && v.runsOn("llama", c, true) {
					c.steps = true
					t.Run(v.name, func(t *testing.T) { roundTrip(t, o, c, base, v) })
				}
			}
		})
	}
}
