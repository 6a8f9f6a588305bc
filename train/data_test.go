package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gopeft/gopeft/models"
)

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFile(t *testing.T) {
	for name, c := range map[string]struct {
		file, content string
		options       *DataOptions
		want          Data
	}{
		"tsv without header": {
			"a.tsv", "one \"long string\t0\ngood film\t1\r\n", nil,
			Data{
				[]Example{{Text: `one "long string`, Label: "0", Line: 1}, {Text: "good film", Label: "1", Line: 2}},
				TSV,
				map[string]string{"text": "0", "label": "1"},
				[]string{"0", "1"},
			},
		},
		"tsv with header and quotes": {
			"a.tsv", "\ufeffindex\tsentence1\tsentence2\tlabel\n0\t\"he said \"\"no\"\"\"\tb\tyes\n1\t\"open\tb\tno\n", nil,
			Data{
				[]Example{{Text: `he said "no"`, Pair: "b", Label: "yes", Line: 2}, {Text: `"open`, Pair: "b", Label: "no", Line: 3}},
				TSV,
				map[string]string{"text": "sentence1", "pair": "sentence2", "label": "label"},
				[]string{"no", "yes"},
			},
		},
		"csv, columns by name and number": {
			"a.csv", "mr,ref,mark\n\"a\nb\",\"x, y\",10\nc,z,9\n", &DataOptions{Columns: map[string]string{"text": "ref", "pair": "mr", "label": "2"}},
			Data{
				[]Example{{Text: "x, y", Pair: "a\nb", Label: "10", Line: 2}, {Text: "z", Pair: "c", Label: "9", Line: 4}},
				CSV,
				map[string]string{"text": "ref", "pair": "mr", "label": "mark"},
				[]string{"9", "10"},
			},
		},
		"csv, label first": {
			"a.csv", "3,Some title,Some text\n3,Another,And more\n", nil,
			Data{
				[]Example{{Text: "Some title", Pair: "Some text", Label: "3", Line: 1}, {Text: "Another", Pair: "And more", Label: "3", Line: 2}},
				CSV,
				map[string]string{"text": "1", "pair": "2", "label": "0"},
				[]string{"3"},
			},
		},
		"regression": {
			"a.tsv", "a\tb\t2.5\nc\td\t-1\n", &DataOptions{ProblemType: models.Regression},
			Data{
				[]Example{{Text: "a", Pair: "b", Label: "2.5", Line: 1}, {Text: "c", Pair: "d", Label: "-1", Line: 2}},
				TSV,
				map[string]string{"text": "0", "pair": "1", "label": "2"},
				nil,
			},
		},
		"labelled": {
			"a.txt", "LOC:other Where is it ?\nHUM:ind Who ?\n", &DataOptions{LabelSeparator: ":"},
			Data{
				[]Example{{Text: "Where is it ?", Label: "LOC", Line: 1}, {Text: "Who ?", Label: "HUM", Line: 2}},
				Labelled,
				map[string]string{"text": "text", "label": "label"},
				[]string{"HUM", "LOC"},
			},
		},
		"jsonl": {
			"a.jsonl", `{"premise": "a", "hypothesis": "b", "label": true, "idx": {"n": 1}}` + "\n\n" + `{"label": false, "hypothesis": "d", "premise": "c"}`, nil,
			Data{
				[]Example{{Text: "a", Pair: "b", Label: "true", Line: 1}, {Text: "c", Pair: "d", Label: "false", Line: 3}},
				JSONL,
				map[string]string{"text": "premise", "pair": "hypothesis", "label": "label"},
				[]string{"false", "true"},
			},
		},
		"question and passage": {
			"a.jsonl", `{"question": "q", "passage": "p", "label": 1}`, nil,
			Data{
				[]Example{{Text: "q", Pair: "p", Label: "1", Line: 1}},
				JSONL,
				map[string]string{"text": "question", "pair": "passage", "label": "label"},
				[]string{"1"},
			},
		},
		"several labels": {
			"a.jsonl", `{"text": "a", "labels": ["x", "y"]}` + "\n" + `{"text": "b", "labels": []}` + "\n" + `{"text": "c", "labels": "z, x"}`,
			&DataOptions{ProblemType: models.MultiLabel},
			Data{
				[]Example{{Text: "a", Labels: []string{"x", "y"}, Line: 1}, {Text: "b", Labels: []string{}, Line: 2}, {Text: "c", Labels: []string{"z", "x"}, Line: 3}},
				JSONL,
				map[string]string{"text": "text", "label": "labels"},
				[]string{"x", "y", "z"},
			},
		},
		"given labels": {
			"a.tsv", "a\tno\n", &DataOptions{Labels: []string{"yes", "no"}},
			Data{[]Example{{Text: "a", Label: "no", Line: 1}}, TSV, map[string]string{"text": "0", "label": "1"}, []string{"yes", "no"}},
		},
		"no labels": {
			"a.tsv", "text\nhello\n", &DataOptions{Unlabelled: true},
			Data{[]Example{{Text: "hello", Line: 2}}, TSV, map[string]string{"text": "text"}, nil},
		},
		"conll with numbers and more columns": {
			"a.txt", "#doc 1\n0\tJohn\tB-Peop\t['N']\t[0]\n1\tran\tO\t['N']\t[1]\n#doc 2\n0\tRome\tB-Loc\t['N']\t[0]\n", &DataOptions{Task: models.TokenCls},
			Data{
				[]Example{
					{Words: []string{"John", "ran"}, Tags: []string{"B-Peop", "O"}, Line: 2},
					{Words: []string{"Rome"}, Tags: []string{"B-Loc"}, Line: 5},
				},
				CoNLL,
				map[string]string{"words": "1", "tags": "2"},
				[]string{"B-Loc", "B-Peop", "O"},
			},
		},
		"conll 2003": {
			"a.conll", "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n", &DataOptions{Task: models.TokenCls},
			Data{
				[]Example{
					{Words: []string{"EU", "rejects"}, Tags: []string{"B-ORG", "O"}, Line: 3},
					{Words: []string{"Peter"}, Tags: []string{"B-PER"}, Line: 6},
				},
				CoNLL,
				map[string]string{"words": "0", "tags": "3"},
				[]string{"B-ORG", "B-PER", "O"},
			},
		},
		"squad": {
			"a.jsonl", `{"id": "1", "question": "who?", "context": "é was Ada.", "answers": {"text": ["Ada"], "answer_start": [6]}}` + "\n" +
				`{"id": "2", "question": "when?", "context": "No.", "answers": {"text": [], "answer_start": []}}`, &DataOptions{Task: models.QuestionAns},
			Data{
				[]Example{
					{Text: "who?", Pair: "é was Ada.", Answers: []Answer{{"Ada", 6}}, Line: 1},
					{Text: "when?", Pair: "No.", Line: 2},
				},
				JSONL,
				map[string]string{"text": "question", "pair": "context", "answers": "answers"},
				nil,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadFile(write(t, c.file, c.content), c.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The files are pyarrow's: compat_test/oracle/train_fixtures.py.
func TestParquet(t *testing.T) {
	for name, c := range map[string]struct {
		task models.Task
		want Data
	}{
		"labels": {models.SeqCls, Data{
			[]Example{{Text: "good", Label: "pos", Line: 1}, {Text: "bad, übel", Label: "neg", Line: 2}, {Text: "fine", Label: "pos", Line: 3}},
			Parquet,
			map[string]string{"text": "sentence", "label": "label"},
			[]string{"neg", "pos"},
		}},
		"tokens": {models.TokenCls, Data{
			[]Example{{Words: []string{"EU", "rejects"}, Tags: []string{"B-ORG", "O"}, Line: 1}, {Words: []string{"Peter"}, Tags: []string{"B-PER"}, Line: 2}},
			Parquet,
			map[string]string{"words": "tokens", "tags": "ner_tags"},
			[]string{"B-ORG", "B-PER", "O"},
		}},
		"squad": {models.QuestionAns, Data{
			[]Example{{Text: "who?", Pair: "It was Ada.", Answers: []Answer{{"Ada", 7}}, Line: 1}, {Text: "when?", Pair: "Nobody knows.", Line: 2}},
			Parquet,
			map[string]string{"text": "question", "pair": "context", "answers": "answers"},
			nil,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadFile("testdata/"+name+".parquet", &DataOptions{Task: c.task})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWrongData(t *testing.T) {
	many := strings.Repeat("x\n", 30)
	for name, c := range map[string]struct {
		file, content string
		options       *DataOptions
		want          []string
	}{
		"columns":     {"a.tsv", "a\tb\nc\n\nd\te\tf\n", nil, []string{":2: found 1 columns, want 2", ":4: found 3 columns, want 2"}},
		"first 20":    {"a.tsv", "a\tb\n" + many, nil, []string{":21: found 1 columns, want 2", "10 more problems"}},
		"json":        {"a.jsonl", "{\"text\": \"a\", \"label\": 1}\n[1]\n{\"text\": 1}\n{} x\n", nil, []string{":2: found", ":4: found more after the object"}},
		"cells":       {"a.jsonl", "{\"text\": 1, \"label\": null}\n", nil, []string{":1: column text: found 1, want a text", ":1: column label: found nothing, want a label"}},
		"no column":   {"a.csv", "text,mark\na,b\n", nil, []string{"found no column for label among text, mark"}},
		"bad mapping": {"a.csv", "text,mark\na,b\n", &DataOptions{Columns: map[string]string{"label": "marc", "tags": "x"}}, []string{`found no column "marc", want one of text, mark`, `a column for "tags"`}},
		"label":       {"a.tsv", "a\tmaybe\n", &DataOptions{Labels: []string{"yes", "no"}}, []string{`:1: found label "maybe", want one of yes, no`}},
		"number":      {"a.tsv", "a\tmuch\n", &DataOptions{ProblemType: models.Regression}, []string{`:1: column 1: found "much", want a number`}},
		"empty":       {"a.tsv", "", nil, []string{"found no examples"}},
		"format":      {"a.xls", "", nil, []string{`found format "xls"`}},
		"parquet":     {"a.parquet", "PAR1 no", nil, []string{"want a Parquet file"}},
		"conll":       {"a.conll", "a B-X\nb\n", &DataOptions{Task: models.TokenCls}, []string{":2: found 1 columns, want 2 or more"}},
		"answer": {
			"a.jsonl", `{"question": "q", "context": "abc", "answers": {"text": ["abcd"], "answer_start": [0]}}`, &DataOptions{Task: models.QuestionAns},
			[]string{"column answers: found an answer from 0 to 4, want one inside the context of 3 characters"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadFile(write(t, c.file, c.content), c.options)
			if !errors.Is(err, ErrData) {
				t.Fatalf("found %v, want ErrData", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
	if _, err := ReadFile("testdata/absent.csv", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found %v, want ErrNotExist", err)
	}
}

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
