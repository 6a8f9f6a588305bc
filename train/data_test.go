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
				Examples: []Example{{Text: `one "long string`, Label: "0", Line: 1}, {Text: "good film", Label: "1", Line: 2}},
				Format:   TSV,
				Columns:  map[string]string{"text": "0", "label": "1"},
				Labels:   []string{"0", "1"},
			},
		},
		"tsv with header and quotes": {
			"a.tsv", "\ufeffindex\tsentence1\tsentence2\tlabel\n0\t\"he said \"\"no\"\"\"\tb\tyes\n1\t\"open\tb\tno\n", nil,
			Data{
				Examples: []Example{{Text: `he said "no"`, Pair: "b", Label: "yes", Line: 2}, {Text: `"open`, Pair: "b", Label: "no", Line: 3}},
				Format:   TSV,
				Columns:  map[string]string{"text": "sentence1", "pair": "sentence2", "label": "label"},
				Labels:   []string{"no", "yes"},
			},
		},
		"tsv without header, columns by number": { // a cell that is a column's number is no name
			"a.tsv", "good film\t1\nbad film\t0\n", &DataOptions{Columns: map[string]string{"text": "0", "label": "1"}},
			Data{
				Examples: []Example{{Text: "good film", Label: "1", Line: 1}, {Text: "bad film", Label: "0", Line: 2}},
				Format:   TSV,
				Columns:  map[string]string{"text": "0", "label": "1"},
				Labels:   []string{"0", "1"},
			},
		},
		"Latin-1": {
			"a.tsv", "caf\xe9\xe8\t1\nbar\t0\n", nil,
			Data{
				Examples:   []Example{{Text: "caf\ufffd\ufffd", Label: "1", Line: 1}, {Text: "bar", Label: "0", Line: 2}},
				Format:     TSV,
				Columns:    map[string]string{"text": "0", "label": "1"},
				Labels:     []string{"0", "1"},
				Unreadable: 1,
			},
		},
		"csv, columns by name and number": {
			"a.csv", "mr,ref,mark\n\"a\nb\",\"x, y\",10\nc,z,9\n", &DataOptions{Columns: map[string]string{"text": "ref", "pair": "mr", "label": "2"}},
			Data{
				Examples: []Example{{Text: "x, y", Pair: "a\nb", Label: "10", Line: 2}, {Text: "z", Pair: "c", Label: "9", Line: 4}},
				Format:   CSV,
				Columns:  map[string]string{"text": "ref", "pair": "mr", "label": "mark"},
				Labels:   []string{"9", "10"},
			},
		},
		"csv, label first": {
			"a.csv", "3,Some title,Some text\n3,Another,And more\n", nil,
			Data{
				Examples: []Example{{Text: "Some title", Pair: "Some text", Label: "3", Line: 1}, {Text: "Another", Pair: "And more", Label: "3", Line: 2}},
				Format:   CSV,
				Columns:  map[string]string{"text": "1", "pair": "2", "label": "0"},
				Labels:   []string{"3"},
			},
		},
		"regression": {
			"a.tsv", "a\tb\t2.5\nc\td\t-1\n", &DataOptions{ProblemType: models.Regression},
			Data{
				Examples: []Example{{Text: "a", Pair: "b", Label: "2.5", Line: 1}, {Text: "c", Pair: "d", Label: "-1", Line: 2}},
				Format:   TSV,
				Columns:  map[string]string{"text": "0", "pair": "1", "label": "2"},
			},
		},
		"labelled": {
			"a.txt", "LOC:other Where is it ?\nHUM:ind Who ?\n", &DataOptions{LabelSeparator: ":"},
			Data{
				Examples: []Example{{Text: "Where is it ?", Label: "LOC", Line: 1}, {Text: "Who ?", Label: "HUM", Line: 2}},
				Format:   Labelled,
				Columns:  map[string]string{"text": "text", "label": "label"},
				Labels:   []string{"HUM", "LOC"},
				Cut:      2,
			},
		},
		"plain text": {
			"a.txt", "\ufeffLOC:other Where is it ?\r\n\r\nWho?\n", &DataOptions{Task: models.CausalLM},
			Data{
				Examples: []Example{{Text: "LOC:other Where is it ?", Line: 1}, {Text: "Who?", Line: 3}},
				Format:   PlainText,
				Columns:  map[string]string{"text": "text"},
			},
		},
		"jsonl": {
			"a.jsonl", `{"premise": "a", "hypothesis": "b", "label": true, "idx": {"n": 1}}` + "\n\n" + `{"label": false, "hypothesis": "d", "premise": "c"}`, nil,
			Data{
				Examples: []Example{{Text: "a", Pair: "b", Label: "true", Line: 1}, {Text: "c", Pair: "d", Label: "false", Line: 3}},
				Format:   JSONL,
				Columns:  map[string]string{"text": "premise", "pair": "hypothesis", "label": "label"},
				Labels:   []string{"false", "true"},
			},
		},
		"question and passage": {
			"a.jsonl", `{"question": "q", "passage": "p", "label": 1}`, nil,
			Data{
				Examples: []Example{{Text: "q", Pair: "p", Label: "1", Line: 1}},
				Format:   JSONL,
				Columns:  map[string]string{"text": "question", "pair": "passage", "label": "label"},
				Labels:   []string{"1"},
			},
		},
		"several labels": {
			"a.jsonl", `{"text": "a", "labels": ["x", "y"]}` + "\n" + `{"text": "b", "labels": []}` + "\n" + `{"text": "c", "labels": "z, x"}`,
			&DataOptions{ProblemType: models.MultiLabel},
			Data{
				Examples: []Example{{Text: "a", Labels: []string{"x", "y"}, Line: 1}, {Text: "b", Labels: []string{}, Line: 2}, {Text: "c", Labels: []string{"z", "x"}, Line: 3}},
				Format:   JSONL,
				Columns:  map[string]string{"text": "text", "label": "labels"},
				Labels:   []string{"x", "y", "z"},
			},
		},
		"given labels": {
			"a.tsv", "a\tno\n", &DataOptions{Labels: []string{"yes", "no"}},
			Data{
				Examples: []Example{{Text: "a", Label: "no", Line: 1}},
				Format:   TSV,
				Columns:  map[string]string{"text": "0", "label": "1"},
				Labels:   []string{"yes", "no"},
			},
		},
		"no labels": {
			"a.tsv", "text\nhello\n", &DataOptions{Unlabelled: true},
			Data{
				Examples: []Example{{Text: "hello", Line: 2}},
				Format:   TSV,
				Columns:  map[string]string{"text": "text"},
			},
		},
		"conll with numbers and more columns": {
			"a.txt", "#doc 1\n0\tJohn\tB-Peop\t['N']\t[0]\n1\tran\tO\t['N']\t[1]\n#doc 2\n0\tRome\tB-Loc\t['N']\t[0]\n", &DataOptions{Task: models.TokenCls},
			Data{
				Examples: []Example{
					{Words: []string{"John", "ran"}, Tags: []string{"B-Peop", "O"}, Line: 2},
					{Words: []string{"Rome"}, Tags: []string{"B-Loc"}, Line: 5},
				},
				Format:  CoNLL,
				Columns: map[string]string{"words": "1", "tags": "2"},
				Labels:  []string{"B-Loc", "B-Peop", "O"},
			},
		},
		"conll 2003": {
			"a.conll", "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n", &DataOptions{Task: models.TokenCls},
			Data{
				Examples: []Example{
					{Words: []string{"EU", "rejects"}, Tags: []string{"B-ORG", "O"}, Line: 3},
					{Words: []string{"Peter"}, Tags: []string{"B-PER"}, Line: 6},
				},
				Format:  CoNLL,
				Columns: map[string]string{"words": "0", "tags": "3"},
				Labels:  []string{"B-ORG", "B-PER", "O"},
			},
		},
		"squad": {
			"a.jsonl", `{"id": "1", "question": "who?", "context": "é was Ada.", "answers": {"text": ["Ada"], "answer_start": [6]}}` + "\n" +
				`{"id": "2", "question": "when?", "context": "No.", "answers": {"text": [], "answer_start": []}}`, &DataOptions{Task: models.QuestionAns},
			Data{
				Examples: []Example{
					{Text: "who?", Pair: "é was Ada.", Answers: []Answer{{"Ada", 6}}, Line: 1},
					{Text: "when?", Pair: "No.", Line: 2},
				},
				Format:  JSONL,
				Columns: map[string]string{"text": "question", "pair": "context", "answers": "answers"},
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
			Examples: []Example{{Text: "good", Label: "pos", Line: 1}, {Text: "bad, übel", Label: "neg", Line: 2}, {Text: "fine", Label: "pos", Line: 3}},
			Format:   Parquet,
			Columns:  map[string]string{"text": "sentence", "label": "label"},
			Labels:   []string{"neg", "pos"},
		}},
		"tokens": {models.TokenCls, Data{
			Examples: []Example{{Words: []string{"EU", "rejects"}, Tags: []string{"B-ORG", "O"}, Line: 1}, {Words: []string{"Peter"}, Tags: []string{"B-PER"}, Line: 2}},
			Format:   Parquet,
			Columns:  map[string]string{"words": "tokens", "tags": "ner_tags"},
			Labels:   []string{"B-ORG", "B-PER", "O"},
		}},
		"squad": {models.QuestionAns, Data{
			Examples: []Example{{Text: "who?", Pair: "It was Ada.", Answers: []Answer{{"Ada", 7}}, Line: 1}, {Text: "when?", Pair: "Nobody knows.", Line: 2}},
			Format:   Parquet,
			Columns:  map[string]string{"text": "question", "pair": "context", "answers": "answers"},
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

// A separator is sought in the names that the file's metadata gives to numbers.
func TestSeparatorInNames(t *testing.T) {
	got, err := ReadFile("testdata/tokens.parquet", &DataOptions{Task: models.TokenCls, LabelSeparator: "-"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"B", "O"}, got.Labels); diff != "" || got.Cut != 2 {
		t.Errorf("%d cut labels: %s", got.Cut, diff)
	}
}

func TestWrongData(t *testing.T) {
	many := strings.Repeat("x\n", 30)
	for name, c := range map[string]struct {
		file, content string
		options       *DataOptions
		want          []string
	}{
		"columns":  {"a.tsv", "a\tb\nc\n\nd\te\tf\n", nil, []string{":2: found 1 columns, want 2", ":4: found 3 columns, want 2"}},
		"first 20": {"a.tsv", "a\tb\n" + many, nil, []string{":21: found 1 columns, want 2", "10 more problems"}},
		"json":     {"a.jsonl", "{\"text\": \"a\", \"label\": 1}\n[1]\n{\"text\": 1}\n{} x\n", nil, []string{":2: found a JSON array, want a JSON object", ":4: found more after the object"}},
		"json cut": {"a.jsonl", "\"text\"\n{\"text\": \"a\"\n7\nnull\n", nil, []string{":1: found a JSON string, want", ":2: found an object that ends too early, want", ":3: found a JSON number, want", ":4: found null, want a JSON object"}},
		"chat": {
			"a.jsonl", `{"messages": []}` + "\n" + `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [1, 2]}]}` + "\n" + `{"messages": [{"from": "a"}, "b"]}` + "\n" + `{"messages": "hello"}`,
			&DataOptions{Task: models.CausalLM},
			[]string{
				":1: column messages: found a list of 0, want a list of", ":2: column messages: found a list of 2 as the content of message 1, want",
				":3: column messages: found nothing as the role of message 0", ":3: column messages: found nothing as the content of message 0",
				`:3: column messages: found "b" as message 1`, `:4: column messages: found "hello", want`,
			},
		},
		"cells":       {"a.jsonl", "{\"text\": 1, \"label\": null}\n", nil, []string{":1: column text: found 1, want a text", ":1: column label: found nothing, want a label"}},
		"no column":   {"a.csv", "text,mark\na,b\n", nil, []string{"found no column for label among text, mark"}},
		"bad mapping": {"a.csv", "text,mark\na,b\n", &DataOptions{Columns: map[string]string{"label": "marc", "tags": "x"}}, []string{`found no column "marc", want one of text, mark`, `a column for "tags"`}},
		"label":       {"a.tsv", "a\tmaybe\n", &DataOptions{Labels: []string{"yes", "no"}}, []string{`:1: found label "maybe", want one of yes, no`}},
		"separator":   {"a.txt", "HUM:ind Who ?\n:other What ?\n", &DataOptions{LabelSeparator: ":"}, []string{`:2: column label: found ":other", want a label before the separator ":"`}},
		"number":      {"a.tsv", "a\tmuch\n", &DataOptions{ProblemType: models.Regression}, []string{`:1: column 1: found "much", want a number`}},
		"not finite":  {"a.tsv", "a\tnan\nb\t-inf\n", &DataOptions{ProblemType: models.Regression}, []string{`:1: column 1: found "nan", want a number`, ":2: column 1"}},
		"labels":      {"a.txt", "LOC Where ?\n", &DataOptions{Task: models.CausalLM, Format: Labelled}, []string{"found format labelled, want another: CAUSAL_LM has no labels"}},
		"no target":   {"a.txt", "Where ?\n", &DataOptions{Task: models.Seq2SeqLM}, []string{"found no column for target among text"}},
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
