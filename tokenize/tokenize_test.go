package tokenize_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopeft/gopeft/tokenize"
)

var tinyFiles = []string{
	"uncased", "cased", "chinese", "bare", "bytes-roberta", "bytes-digits", "bytes-llama3", "bytes-phi",
	"pieces-llama2", "pieces-mistral", "pieces-gemma", "unigram-t5", "unigram-albert", "unigram-cuts",
}

func tinyFile(name string) string { return filepath.Join("testdata", name+".json") }

func tinyGolden(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name+".golden.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// The goldens are made by compat_test/oracle/tokenize_tiny.py.
func TestGoldens(t *testing.T) {
	for _, name := range tinyFiles {
		t.Run(name, func(t *testing.T) {
			checkGolden(t, parse(t, tinyFile(name)), tinyGolden(t, name))
		})
	}
}

// The directories are read by BertTokenizer of transformers for the goldens.
func TestDirectories(t *testing.T) {
	for _, name := range []string{"directory-plain", "directory-config", "directory-legacy"} {
		t.Run(name, func(t *testing.T) {
			tokenizer, err := tokenize.Load(os.DirFS(filepath.Join("testdata", name)))
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tokenizer, tinyGolden(t, name))
		})
	}
}
