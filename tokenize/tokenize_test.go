package tokenize_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gopeft/gopeft/tokenize"
)

var tinyFiles = []string{
	"uncased", "cased", "chinese", "bare", "bytes-roberta", "bytes-digits", "bytes-llama3", "bytes-phi", "bytes-bloom", "bytes-gpt4o", "bytes-tekken",
	"pieces-llama2", "pieces-mistral", "pieces-gemma", "unigram-t5", "unigram-albert", "unigram-cuts",
}

func tinyFile(name string) string { return filepath.Join("testdata", name+".json") }

func tinyGolden(t testing.TB, name string) []byte {
	t.Helper()
	return readGolden(t, filepath.Join("testdata", name+".golden.jsonl.gz"))
}

func readGolden(t testing.TB, path string) []byte {
	t.Helper()
	file, err := os.Open(path)
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

// The directories are those of compat_test/oracle/tokenize_directories.py, read by
// their classes in transformers for the goldens.
func TestDirectoriesOfClasses(t *testing.T) {
	folder := filepath.Join("testdata", "directories")
	for name, directory := range directoriesOfClasses(t, folder) {
		t.Run(name, func(t *testing.T) {
			tokenizer, err := tokenize.Load(directory)
			if err != nil {
				t.Fatal(err)
			}
			golden := readGolden(t, filepath.Join(folder, name+".golden.jsonl.gz"))
			checkGolden(t, tokenizer, golden)
			checkStream(t, tokenizer, golden)
		})
	}
}

func directoriesOfClasses(t *testing.T, folder string) map[string]fstest.MapFS {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "directories.json"))
	if err != nil {
		t.Fatal(err)
	}
	var described map[string]struct {
		Files  map[string]string
		Config json.RawMessage
	}
	if err := json.Unmarshal(data, &described); err != nil {
		t.Fatal(err)
	}
	directories := map[string]fstest.MapFS{}
	for name, d := range described {
		directories[name] = fstest.MapFS{"tokenizer_config.json": {Data: d.Config}}
		for file, source := range d.Files {
			content, err := os.ReadFile(filepath.Join(folder, source))
			if err != nil {
				t.Fatal(err)
			}
			directories[name][file] = &fstest.MapFile{Data: content}
		}
	}
	return directories
}

// Both of Pegasus's masks are special. Expected: transformers 5.23.0.
func TestPegasusMasks(t *testing.T) {
	tokenizer, err := tokenize.Load(directoriesOfClasses(t, filepath.Join("testdata", "directories"))["pegasus"])
	if err != nil {
		t.Fatal(err)
	}
	e, err := tokenizer.Encode("a<mask_1>b <mask_2>c", nil)
	want := []string{"▁", "a", "<mask_1>", "▁b", "▁", "<mask_2>", "▁c", "</s>"}
	if diff := cmp.Diff(want, e.Tokens); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := tokenizer.Decode(e.IDs, true); got != "a b  c" || err != nil {
		t.Errorf("Decode: %q, %v", got, err)
	}
}
