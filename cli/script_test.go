package cli_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gopeft/gopeft/cli"
	"github.com/gopeft/gopeft/hfio"
)

var update = flag.Bool("update", false, "rewrite the expected outputs of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gopeft": func() {
			os.Exit(cli.Run(context.Background(), os.Args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

// TestScripts runs the commands of testdata/script as a user would. GOLDENS is the
// directory of the files that PEFT made, CAUSAL that of such for causal language models,
// BASE a tiny BERT with a vocabulary, MASKED one with the head of masked language models,
// DECODER a tiny Llama, DISTILBERT a tiny DistilBERT and BART a tiny BART with the same vocabulary.
func TestScripts(t *testing.T) {
	goldens, err := filepath.Abs("../compat_test/testdata/goldens")
	if err != nil {
		t.Fatal(err)
	}
	causal, err := filepath.Abs("../hfio/testdata/adapters")
	if err != nil {
		t.Fatal(err)
	}
	base := tinyBase(t, filepath.Join(goldens, "SEQ_CLS", "base"))
	masked := tinyBase(t, filepath.Join(goldens, "MASKED_LM", "base"))
	decoder := tinyBase(t, filepath.Join(goldens, "decoder-llama", "base"))
	distilbert := tinyBase(t, filepath.Join(goldens, "..", "encoders", "distilbert", "base"))
	bart := tinyBase(t, filepath.Join(goldens, "..", "seq2seq", "bart", "base"))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOLDENS", goldens)
			env.Setenv("CAUSAL", causal)
			env.Setenv("BASE", base)
			env.Setenv("MASKED", masked)
			env.Setenv("DECODER", decoder)
			env.Setenv("DISTILBERT", distilbert)
			env.Setenv("BART", bart)
			if err := nanAdapter(filepath.Join(env.WorkDir, "nan"), filepath.Join(goldens, "SEQ_CLS", "prompt", "adapter")); err != nil {
				return err
			}
			// "base" for run files, which know no variables, and "other" of one layer.
			if err := os.CopyFS(filepath.Join(env.WorkDir, "base"), os.DirFS(base)); err != nil {
				return err
			}
			return oneLayerBase(filepath.Join(env.WorkDir, "other"), base)
		},
	})
}

// oneLayerBase copies a base and makes its config say one layer.
func oneLayerBase(dir, base string) error {
	if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
		return err
	}
	path := filepath.Join(dir, "config.json")
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(config, []byte(`"num_hidden_layers": 2`), []byte(`"num_hidden_layers": 1`), 1), 0o666)
}

// nanAdapter copies an adapter and makes the first number of its prompt NaN.
func nanAdapter(dir, golden string) error {
	a, err := hfio.OpenAdapter(hfio.Dir(golden), &hfio.OpenOptions{NoMap: true})
	if err != nil {
		return err
	}
	defer a.Close()
	prompt, _ := a.Tensor("prompt_embeddings")
	binary.LittleEndian.PutUint32(prompt.Data, math.Float32bits(float32(math.NaN())))
	return hfio.WriteAdapter(dir, a)
}

// tinyBase is the golden base with a vocab.txt of its 40 tokens.
func tinyBase(t *testing.T, golden string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nan\nthe\nis\nit\nfilm\nmovie\ngood\ngreat\nwarm\nfunny\nbad\ndull\nslow\npoor\n" +
		"very\nnot\nbut\nand\nstory\nplot\nacting\nend\n##ing\n##ed\n##s\n.\n,\n!\n?\ni\nwe\nlike\nhate\nlove\n"
	if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(vocab), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}
