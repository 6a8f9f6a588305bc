package tokenize_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gopeft/gopeft/tokenize"
)

// reference runs a script of compat_test/oracle under the Python that holds the official library, or skips.
func reference(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	python := os.Getenv("GOPEFT_ORACLE_PYTHON")
	if python == "" {
		t.Skip("GOPEFT_ORACLE_PYTHON is not set: no Python with the official tokenizers library to compare with")
	}
	path := filepath.Join("..", "compat_test", "oracle", script)
	out, err := exec.Command(python, append([]string{path}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out
}

// The public files against the official library, every line of the corpus.
func TestPublicFiles(t *testing.T) {
	folder := shared(t, "tokenizers")
	for _, name := range []string{"bert-base-uncased", "bert-cased", "bert-chinese"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(folder, name+".json")
			want := reference(t, "tokenize_fixtures.py", file, filepath.Join(folder, "corpus.jsonl"))
			checkGolden(t, parse(t, file), want)
		})
	}
}

func parse(t testing.TB, file string) *tokenize.Tokenizer {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenize.Parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}
