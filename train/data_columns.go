package train

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gopeft/gopeft/models"
)

// table is a file as rows of cells, before roles are known.
type table struct {
	columns []string // nil: they have numbers only
	rows    []row
	// guess is the format's own choice of columns for the roles; nil: by names.
	guess map[string]int
	// labelNames turns the integers of a column into names; nil: as they are.
	labelNames map[string][]string
}

// row has one cell a column: a string, a number (json.Number, int64, float64), a
// bool, a list ([]any), an object (map[string]any), or nil.
type row struct {
	line  int
	cells []any
}

// guesses are the names that columns of public data sets have for each role, best first.
var guesses = map[string][]string{
	RoleText:    {"text", "sentence", "sentence1", "premise", "question", "content", "passage", "review", "query"},
	RolePair:    {"pair", "text_pair", "sentence2", "hypothesis", "text2"},
	RoleLabel:   {"label", "labels", "class", "category", "target", "sentiment"},
	RoleWords:   {"words", "tokens"},
	RoleTags:    {"tags", "ner_tags", "labels", "pos_tags", "label"},
	RoleAnswers: {"answers", "answer"},
	RoleTask:    {"task_ids", "task_id", "task"},
}

var squadGuesses = map[string][]string{
	RoleText: {"question"}, RolePair: {"context"}, RoleAnswers: guesses[RoleAnswers],
}

// writingGuesses are those of what is written: chats, prompts with completions, pairs of
// source and target, plain texts.
var writingGuesses = map[string][]string{
	RoleText:     {"prompt", "instruction", "source", "input", "question", "document", "article", "mr", "text", "sentence", "content"},
	RoleTarget:   {"completion", "response", "output", "target", "answer", "summary", "highlights", "ref", "reference"},
	RoleMessages: {"messages", "conversations"},
	RoleTask:     guesses[RoleTask],
}

// IsWriting tells whether what is learnt of a task is text.
func IsWriting(task models.Task) bool { return task == models.CausalLM || task == models.Seq2SeqLM }

// guessesOf returns the names of columns for the roles of a task.
func guessesOf(task models.Task) map[string][]string {
	switch {
	case task == models.QuestionAns:
		return squadGuesses
	case IsWriting(task):
		return writingGuesses
	}
	return guesses
}

// roles lists the roles of a task; the first need numbers of them must be there.
func roles(o DataOptions) (names []string, need int) {
	switch {
	case o.Fields != nil:
		names, need = append(slices.Clone(o.Fields), RoleLabel), len(o.Fields)+1
	case o.Task == models.TokenCls:
		names, need = []string{RoleWords, RoleTags}, 2
	case o.Task == models.QuestionAns:
		names, need = []string{RoleText, RolePair, RoleAnswers}, 3
	case o.Task == models.FeatureExtraction:
		return []string{RoleText, RolePair}, 1
	case o.Task == models.CausalLM && o.chat:
		names, need = []string{RoleMessages}, 1
	case o.Task == models.CausalLM:
		names, need = []string{RoleText, RoleTarget}, 1
	case o.Task == models.Seq2SeqLM:
		names, need = []string{RoleText, RoleTarget}, 2
	default:
		names, need = []string{RoleText, RoleLabel, RolePair}, 2
	}
	if o.Unlabelled {
		drop := []string{RoleLabel, RoleTags, RoleAnswers, RoleTarget}
		names = slices.DeleteFunc(names, func(r string) bool { return slices.Contains(drop, r) })
		need--
	}
	if o.Tasks {
		names = append(names, RoleTask)
	}
	return names, need
}

// choose returns the column of each role.
func (t *table) choose(path string, o DataOptions) (map[string]int, error) {
	_, given := o.Columns[RoleMessages]
	o.chat = given || len(o.Columns) == 0 && t.guessColumn(RoleMessages, o) >= 0
	names, need := roles(o)
	p := &problems{file: path}
	for _, role := range slices.Sorted(maps.Keys(o.Columns)) {
		if !slices.Contains(names, role) {
			p.add(0, "", "a column for "+quote(role), "roles of "+string(o.Task)+": "+strings.Join(names, ", "))
		}
	}
	columns := map[string]int{}
	for i, role := range names {
		given, ok := o.Columns[role]
		c := -1
		if ok {
			c = t.find(given)
		} else {
			c = t.guessColumn(role, o)
		}
		switch {
		case c >= 0:
			columns[role] = c
		case ok:
			p.add(0, "", "no column "+quote(given), "one of "+t.describe())
		case i < need:
			p.addError(&DataError{Role: role, Found: "no column for " + role + " among " + t.describe(), Want: "its name or number in the column mapping"})
		}
	}
	return columns, p.err()
}

// find returns the column of a name or number, or -1.
func (t *table) find(name string) int {
	if i := slices.Index(t.columns, name); i >= 0 {
		return i
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < t.width() {
		return i
	}
	return -1
}

func (t *table) guessColumn(role string, o DataOptions) int {
	if i, ok := t.guess[role]; ok && t.guess != nil {
		return i
	}
	if t.columns == nil {
		return t.guessByPlace(role, o)
	}
	names, isRole := guessesOf(o.Task)[role]
	if !isRole {
		names = []string{role} // of a template
	}
	for _, name := range names {
		i := slices.IndexFunc(t.columns, func(c string) bool { return strings.EqualFold(c, name) })
		if i >= 0 {
			return i
		}
	}
	if role == RolePair && o.Task == models.SeqCls {
		return t.questionAndText()
	}
	return -1
}

// questionAndText finds the second text of files such as BoolQ's, whose first is
// called question.
func (t *table) questionAndText() int {
	first := t.guessColumn(RoleText, DataOptions{Task: models.SeqCls})
	for _, name := range []string{"question", "passage"} {
		if i := slices.Index(t.columns, name); i >= 0 && i != first {
			return i
		}
	}
	return -1
}

// guessByPlace takes text, pair and label in this order where columns have no names;
// the label comes first if the first column has fewer different cells than the last.
func (t *table) guessByPlace(role string, o DataOptions) int {
	n := t.width()
	if IsWriting(o.Task) && n <= 2 {
		return slices.Index([]string{RoleText, RoleTarget}[:n], role)
	}
	if o.Unlabelled {
		n++
	}
	if o.Task != models.SeqCls || n < 2 || n > 3 {
		return -1
	}
	texts, label := 0, n-1
	if !o.Unlabelled && t.different(0) < t.different(n-1) {
		texts, label = 1, 0
	}
	switch {
	case role == RoleText:
		return texts
	case role == RoleLabel:
		return label
	case role == RolePair && n == 3:
		return texts + 1
	}
	return -1
}

func (t *table) different(column int) int {
	seen := map[string]bool{}
	for _, r := range t.rows {
		if column < len(r.cells) {
			seen[fmt.Sprint(r.cells[column])] = true
		}
	}
	return len(seen)
}

func (t *table) width() int {
	if t.columns != nil {
		return len(t.columns)
	}
	if len(t.rows) == 0 {
		return 0
	}
	return len(t.rows[0].cells)
}

func (t *table) name(column int) string {
	if t.columns != nil {
		return t.columns[column]
	}
	return strconv.Itoa(column)
}

func (t *table) describe() string {
	if t.columns != nil {
		return strings.Join(t.columns, ", ")
	}
	return fmt.Sprintf("the columns 0 to %d", t.width()-1)
}

// sortedLabels sorts label names, as numbers if all of them are integers.
func sortedLabels(found map[string]int) []string {
	names := slices.Sorted(maps.Keys(found))
	numbers := map[string]int{}
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil {
			return names
		}
		numbers[name] = n
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(numbers[a], numbers[b]) })
	return names
}
