package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
)

func TestPublicFiles(t *testing.T) {
	shared := sharedData(t)
	for name, c := range map[string]struct {
		options          *DataOptions
		examples, labels int
	}{
		"sst2/train.tsv":            {nil, 6920, 2},
		"sst2/dev.tsv":              {nil, 872, 2},
		"trec/train.txt":            {&DataOptions{LabelSeparator: ":"}, 5452, 6},
		"trec/test.txt":             {nil, 500, 0},
		"rte/train.tsv":             {nil, 2490, 2},
		"rte/dev.tsv":               {nil, 277, 2},
		"conll04/train.txt":         {&DataOptions{Task: models.TokenCls}, 0, 9},
		"fewglue/BoolQ/train.jsonl": {nil, 32, 2},
		"fewglue/CB/train.jsonl":    {nil, 32, 3},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := ReadFile(filepath.Join(shared, name), c.options)
			if err != nil {
				t.Fatal(err)
			}
			if c.examples > 0 && len(d.Examples) != c.examples || c.labels > 0 && len(d.Labels) != c.labels {
				t.Errorf("found %d examples and labels %q, want %d and %d", len(d.Examples), d.Labels, c.examples, c.labels)
			}
		})
	}
}

// sharedData is ../shared/data beside the repository. Its README states how many lines
// the files have.
func sharedData(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		data := filepath.Join(dir, "shared", "data")
		if _, err := os.Stat(data); err == nil {
			return data
		}
	}
	t.Skip("the folder shared/data is not beside the repository")
	return ""
}

func FuzzReadFile(f *testing.F) {
	for _, name := range []string{"a.csv", "a.tsv", "a.jsonl", "a.txt", "a.conll"} {
		f.Add(name, []byte("text\tlabel\n\"a\"\tb\n"), "")
		f.Add(name, []byte(`{"words": ["a"], "tags": ["O"]}`), "TOKEN_CLS")
		f.Add(name, []byte(`{"question": "a", "context": "b", "answers": [{"text": "b", "answer_start": 0}]}`), "QUESTION_ANS")
		f.Add(name, []byte("0 a B-X\n1 b I-X\n\n0 c O"), "TOKEN_CLS")
	}
	parquet, err := os.ReadFile("testdata/tokens.parquet")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.parquet", parquet, "TOKEN_CLS")
	f.Fuzz(func(t *testing.T, name string, content []byte, task string) {
		if filepath.Base(name) != name || len(name) > 20 || strings.ContainsAny(name, "\x00") {
			t.Skip()
		}
		path := filepath.Join(t.TempDir(), "f"+name)
		if os.WriteFile(path, content, 0o666) != nil {
			t.Skip()
		}
		d, err := ReadFile(path, &DataOptions{Task: models.Task(task)})
		if err == nil && len(d.Examples) == 0 {
			t.Error("no examples and no error")
		}
	})
}
