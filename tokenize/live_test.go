package tokenize_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

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
	for _, name := range []string{"albert", "barthez", "bert-base-uncased", "bert-cased", "bert-chinese", "gpt2", "mistral3", "qwen3", "roberta", "t5-orig"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(folder, name+".json")
			want := reference(t, "tokenize_fixtures.py", file, filepath.Join(folder, "corpus.jsonl"))
			checkGolden(t, parse(t, file), want)
		})
	}
}

// The tokenizers of the models in the program.
func TestEmbeddedFiles(t *testing.T) {
	for _, folder := range []string{"model", filepath.Join("decoder", "model")} {
		t.Run(folder, func(t *testing.T) {
			file := filepath.Join("..", "models", "embedded", folder, "tokenizer.json")
			checkGolden(t, parse(t, file), reference(t, "tokenize_fixtures.py", file, filepath.Join("testdata", "corpus.jsonl")))
		})
	}
}

// A sentencepiece model alone makes what was made of it before.
func TestPublicPieces(t *testing.T) {
	folder := shared(t, "tokenizers")
	model, err := os.ReadFile(filepath.Join(folder, "t5.spiece.model"))
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenize.Load(fstest.MapFS{"spiece.model": {Data: model}, "config.json": {Data: []byte(`{"model_type": "t5"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, tokenizer, reference(t, "tokenize_fixtures.py", filepath.Join(folder, "t5-orig.json"), filepath.Join(folder, "corpus.jsonl")))
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

// Random strings of the characters that the committed corpus knows, where
// marks, special tokens and spaces meet in every order.
func TestRandomTexts(t *testing.T) {
	characters := corpusCharacters(t)
	random := rand.New(rand.NewPCG(3, 14))
	fragments := []string{"[MASK]", "<mask>", "<right>", "<rightmost>", " word ", "Größe", "今天", "ab", "É", "\u00a0tied", "abc d"}
	var lines bytes.Buffer
	for range 2000 {
		var b strings.Builder
		for range random.IntN(14) {
			if random.IntN(10) == 0 {
				b.WriteString(fragments[random.IntN(len(fragments))])
			} else {
				b.WriteRune(characters[random.IntN(len(characters))])
			}
		}
		line, err := json.Marshal(map[string]string{"text": b.String()})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	corpus := filepath.Join(t.TempDir(), "corpus.jsonl")
	if err := os.WriteFile(corpus, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range tinyFiles {
		t.Run(name, func(t *testing.T) {
			checkGolden(t, parse(t, tinyFile(name)), reference(t, "tokenize_fixtures.py", tinyFile(name), corpus))
		})
	}
}

func corpusCharacters(t *testing.T) []rune {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "corpus.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[rune]bool{}
	for line := range bytes.Lines(data) {
		var input struct{ Text string }
		if err := json.Unmarshal(line, &input); err != nil {
			t.Fatal(err)
		}
		for _, r := range input.Text {
			seen[r] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
