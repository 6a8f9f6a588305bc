package train

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gopeft/gopeft/models"
)

// Format is how a data file is written.
type Format string

// The formats of data files.
const (
	CSV     Format = "csv"
	TSV     Format = "tsv"   // tabs between columns; quotes have no meaning inside a field
	JSONL   Format = "jsonl" // a JSON object a line
	Parquet Format = "parquet"
	// Labelled is a label, a space and a text in each line, as in TREC:
	// "LOC:other Where is Inca country ?".
	Labelled Format = "labelled"
	// PlainText is a text a line, with nothing to learn beside it: for CAUSAL_LM.
	PlainText Format = "text"
	// CoNLL is a word a line with columns beside it, and an empty line, or one that
	// starts with #doc or -DOCSTART-, between texts.
	CoNLL Format = "conll"
)

// Header says whether the first line of a CSV or TSV file names the columns.
type Header int

// GuessHeader takes the first line for a header if it holds a name that Columns gives
// (numbers are not names), or one of those that are guessed for a role.
const (
	GuessHeader Header = iota
	WithHeader
	NoHeader
)

// Roles are what a column can be; DataOptions.Columns and Data.Columns are keyed by
// them. A question answering example has its question in Text and its context in Pair.
const (
	RoleText    = "text"
	RolePair    = "pair"
	RoleLabel   = "label"
	RoleWords   = "words"
	RoleTags    = "tags"
	RoleAnswers = "answers"
	RoleTask    = "task"
	// A text to go on from, or to answer, is RoleText, and what is to be written RoleTarget.
	RoleTarget   = "target"
	RoleMessages = "messages" // a chat: both in one
)

// DataOptions says how a file is read. Nil and the zero value guess everything and
// read for SEQ_CLS.
type DataOptions struct {
	Task    models.Task // "": SEQ_CLS
	Format  Format      // "": by the file's name
	Header  Header
	Columns map[string]string // role to column: its name, or its number from 0
	// LabelSeparator cuts labels before its first occurrence: ":" makes HUM of HUM:ind.
	LabelSeparator string
	// Labels are the names that may occur, in the order of the outputs; nil: all that
	// occur, sorted.
	Labels []string
	// ProblemType of SEQ_CLS: labels are numbers for models.Regression, and lists of
	// names for models.MultiLabel (a JSON list, or names separated with commas).
	ProblemType string
	// Fields are what a template shows of an example, in place of RoleText and RolePair: roles,
	// or names of columns. nil: there is no template.
	Fields []string
	// Unlabelled reads texts alone.
	Unlabelled bool
	// Tasks reads the number of each example's task, from 0, for an adapter of several;
	// without a column for it all are of task 0.
	Tasks bool

	chat bool // the file has RoleMessages
}

// Data is a file that was read.
type Data struct {
	Examples []Example
	Format   Format
	// Columns is the column of each role, as it was given or guessed: its name, or
	// its number from 0 in a file without names.
	Columns map[string]string
	// Labels are the label names: as given, or those that occur, sorted (as numbers if
	// all are integers). Nil for a regression and without labels.
	Labels []string
	// Unreadable counts the examples with bytes that are not UTF-8, or with U+FFFD that
	// was put in place of such; many of them mean that the file is in another encoding.
	Unreadable int
	// Cut counts the labels that hold DataOptions.LabelSeparator; each tag of a text is one.
	Cut int
}

// Example is a text with what is to be learnt of it.
type Example struct {
	Text, Pair string   // Pair: the second text, or the context of a question
	Words      []string // TOKEN_CLS: the text
	Label      string   // SEQ_CLS: a name, or the number of a regression
	Labels     []string // SEQ_CLS with several labels
	Tags       []string // TOKEN_CLS: one a word
	Answers    []Answer // QUESTION_ANS: all right ones; none: there is no answer
	Target     *string  // CAUSAL_LM and SEQ_2_SEQ_LM: what to write after Text; nil: Text itself
	Messages   []Message
	TaskID     int // where DataOptions.Tasks asks for it
	// Fields holds what DataOptions.Fields names, but RoleText and RolePair.
	Fields map[string]string
	Line   int // of the file, from 1; the row of a Parquet file
}

// Message is a part of a chat, in the words of chat templates.
type Message struct {
	Role    string `json:"role"` // system, user, assistant, ...
	Content string `json:"content"`
}

// Tasks is how many tasks the examples have: one more than the greatest number.
func (d *Data) Tasks() int {
	n := 1
	for _, e := range d.Examples {
		n = max(n, e.TaskID+1)
	}
	return n
}

// Field returns what a template shows of the example.
func (e Example) Field(name string) (string, error) {
	switch value, ok := e.Fields[name]; {
	case name == RoleText:
		return e.Text, nil
	case name == RolePair:
		return e.Pair, nil
	case ok:
		return value, nil
	}
	return "", fmt.Errorf("found no field %s, want one of %q", quote(name), slices.Sorted(maps.Keys(e.Fields)))
}

// Answer is a piece of the context.
type Answer struct {
	Text  string
	Start int // in characters of the context
}

// ReadFile reads a data file. What is wrong in it is reported together, up to
// [MaxProblems] problems, each a *DataError.
func ReadFile(path string, opts *DataOptions) (*Data, error) {
	o := withTask(opts)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &DataError{File: path, Found: "a directory", Want: "a file"}
	}
	if o.Format == "" {
		o.Format = formatOf(path, o)
	}
	read, ok := map[Format]func(string, DataOptions) (*table, error){
		CSV: readDelimited, TSV: readDelimited, JSONL: readJSONL,
		Parquet: readParquet, Labelled: readLabelled, PlainText: readPlainText, CoNLL: readCoNLL,
	}[o.Format]
	if !ok {
		found := "format " + quote(string(o.Format))
		if o.Format == "" {
			found = "no format in the name"
		}
		return nil, &DataError{File: path, Found: found, Want: "csv, tsv, jsonl, parquet, labelled, text or conll"}
	}
	if o.Format == Labelled && IsWriting(o.Task) {
		return nil, &DataError{File: path, Found: "format labelled", Want: "another: " + string(o.Task) + " has no labels; with format text each line is a text"}
	}
	t, err := read(path, o)
	if err != nil {
		return nil, err
	}
	return t.data(path, o)
}

func withTask(opts *DataOptions) DataOptions {
	var o DataOptions
	if opts != nil {
		o = *opts
	}
	if o.Task == "" {
		o.Task = models.SeqCls
	}
	return o
}

func formatOf(path string, o DataOptions) Format {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return CSV
	case ".tsv", ".tab":
		return TSV
	case ".jsonl", ".ndjson", ".json":
		return JSONL
	case ".parquet":
		return Parquet
	case ".conll", ".bio", ".iob", ".iob2":
		return CoNLL
	case ".txt":
		switch {
		case o.Task == models.TokenCls:
			return CoNLL
		case IsWriting(o.Task):
			return PlainText
		}
		return Labelled
	}
	return Format(strings.TrimPrefix(filepath.Ext(path), "."))
}

// data makes the examples of a table.
func (t *table) data(path string, o DataOptions) (*Data, error) {
	if len(t.rows) == 0 {
		return nil, &DataError{File: path, Found: "no examples", Want: "at least one"}
	}
	columns, err := t.choose(path, o)
	if err != nil {
		return nil, err
	}
	d := &Data{Format: o.Format, Columns: map[string]string{}}
	for role, c := range columns {
		d.Columns[role] = t.name(c)
	}
	p := &problems{file: path}
	for _, r := range t.rows {
		reader := &rowReader{table: t, row: r, columns: columns, problems: p}
		e := reader.example(o)
		d.Cut += reader.cuts
		if e.repair() {
			d.Unreadable++
		}
		d.Examples = append(d.Examples, e)
	}
	d.Labels = d.collectLabels(o, p)
	return d, p.err()
}

// collectLabels returns the label names in order and checks given ones.
func (d *Data) collectLabels(o DataOptions, p *problems) []string {
	without := []models.Task{models.QuestionAns, models.FeatureExtraction, models.CausalLM, models.Seq2SeqLM}
	if o.Unlabelled || o.ProblemType == models.Regression || slices.Contains(without, o.Task) {
		return nil
	}
	found := map[string]int{} // to its first line
	for _, e := range d.Examples {
		for _, label := range e.names(o) {
			if _, seen := found[label]; !seen {
				found[label] = e.Line
			}
		}
	}
	names := sortedLabels(found)
	if o.Labels == nil {
		return names
	}
	for _, label := range names {
		if !slices.Contains(o.Labels, label) {
			p.add(found[label], "", "label "+quote(label), "one of "+strings.Join(o.Labels, ", "))
		}
	}
	return slices.Clone(o.Labels)
}

// repair puts U+FFFD in place of each byte that is not UTF-8, and tells whether the
// example has any now.
func (e *Example) repair() bool {
	found := false
	fix := func(s *string) {
		if strings.ContainsRune(*s, utf8.RuneError) {
			*s, found = string([]rune(*s)), true
		}
	}
	for _, s := range []*string{&e.Text, &e.Pair, &e.Label} {
		fix(s)
	}
	if e.Target != nil {
		fix(e.Target)
	}
	for i := range e.Messages {
		fix(&e.Messages[i].Content)
	}
	for _, list := range [][]string{e.Words, e.Labels, e.Tags} {
		for i := range list {
			fix(&list[i])
		}
	}
	for i := range e.Answers {
		fix(&e.Answers[i].Text)
	}
	for name, value := range e.Fields {
		fix(&value)
		e.Fields[name] = value
	}
	return found
}

// names returns the labels of an example, whatever its task.
func (e Example) names(o DataOptions) []string {
	switch {
	case o.Task == models.TokenCls:
		return e.Tags
	case o.ProblemType == models.MultiLabel:
		return e.Labels
	}
	return []string{e.Label}
}

// quote shortens a value for a message.
func quote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
