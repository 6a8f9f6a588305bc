package train

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gopeft/gopeft/models"
)

// rowReader takes the cells of one row by role and notes what is wrong with them.
type rowReader struct {
	table    *table
	row      row
	columns  map[string]int
	problems *problems
	cuts     int // labels that were cut
}

func (r *rowReader) example(o DataOptions) Example {
	e := Example{Line: r.row.line}
	if _, ok := r.columns[RoleTask]; ok {
		e.TaskID = r.task()
	}
	if o.Task == models.TokenCls {
		r.words(&e, o)
		return e
	}
	if _, ok := r.columns[RoleMessages]; ok {
		e.Messages = r.messages()
		return e
	}
	r.texts(&e, o)
	switch {
	case IsWriting(o.Task):
		if _, ok := r.columns[RoleTarget]; ok {
			target := r.text(RoleTarget)
			e.Target = &target
		}
	case o.Unlabelled || o.Task == models.FeatureExtraction:
	case o.Task == models.QuestionAns:
		e.Answers = r.answers(e.Pair)
	case o.ProblemType == models.MultiLabel:
		e.Labels = r.labels(o)
	default:
		e.Label = r.label(o)
	}
	return e
}

// texts reads what the model is shown.
func (r *rowReader) texts(e *Example, o DataOptions) {
	roles := o.Fields
	if roles == nil {
		roles = []string{RoleText, RolePair}
	}
	for _, role := range roles {
		_, there := r.columns[role]
		switch {
		case !there:
		case role == RoleText:
			e.Text = r.text(role)
		case role == RolePair:
			e.Pair = r.text(role)
		default:
			if e.Fields == nil {
				e.Fields = map[string]string{}
			}
			e.Fields[role] = r.text(role)
		}
	}
}

func (r *rowReader) problem(role, found, want string) {
	r.problems.add(r.row.line, r.table.name(r.columns[role]), found, want)
}

func (r *rowReader) cell(role string) any {
	if c := r.columns[role]; c < len(r.row.cells) {
		return r.row.cells[c]
	}
	return nil
}

func (r *rowReader) text(role string) string {
	s, ok := r.cell(role).(string)
	if !ok {
		r.problem(role, kindOf(r.cell(role)), "a text")
	}
	return s
}

// maxTask bounds the number of a task.
const maxTask = 1 << 16

func (r *rowReader) task() int {
	s, _ := scalar(r.cell(RoleTask))
	task, err := strconv.Atoi(s)
	if err != nil || task < 0 || task > maxTask {
		r.problem(RoleTask, quote(s), fmt.Sprintf("the number of a task, 0 to %d", maxTask))
		return 0
	}
	return task
}

func (r *rowReader) label(o DataOptions) string {
	s, ok := scalar(r.cell(RoleLabel))
	switch {
	case !ok || s == "":
		r.problem(RoleLabel, kindOf(r.cell(RoleLabel)), "a label")
	case o.ProblemType == models.Regression:
		if v, err := strconv.ParseFloat(s, 32); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			r.problem(RoleLabel, quote(s), "a number")
		}
		return s
	}
	return r.named(RoleLabel, s, o)
}

// named gives a number of a column whose labels have names its name, and cuts what is a label now.
func (r *rowReader) named(role, label string, o DataOptions) string {
	if names := r.table.labelNames[r.table.name(r.columns[role])]; names != nil {
		i, err := strconv.Atoi(label)
		if err != nil || i < 0 || i >= len(names) {
			r.problem(role, quote(label), fmt.Sprintf("a number from 0 to %d", len(names)-1))
			return label
		}
		label = names[i]
	}
	if o.LabelSeparator == "" {
		return label
	}
	before, _, found := strings.Cut(label, o.LabelSeparator)
	if found {
		r.cuts++
	}
	if before == "" && label != "" {
		r.problem(role, quote(label), "a label before the separator "+quote(o.LabelSeparator))
	}
	return before
}

func (r *rowReader) labels(o DataOptions) []string {
	list, ok := r.list(RoleLabel, ",")
	if !ok {
		r.problem(RoleLabel, kindOf(r.cell(RoleLabel)), "a list of labels")
	}
	for i, s := range list {
		list[i] = r.named(RoleLabel, s, o)
	}
	return list
}

func (r *rowReader) words(e *Example, o DataOptions) {
	var ok bool
	if e.Words, ok = r.list(RoleWords, " "); !ok || len(e.Words) == 0 {
		r.problem(RoleWords, kindOf(r.cell(RoleWords)), "a list of words")
		return
	}
	if o.Unlabelled {
		return
	}
	if e.Tags, ok = r.list(RoleTags, " "); !ok || len(e.Tags) != len(e.Words) {
		r.problem(RoleTags, fmt.Sprintf("%d tags", len(e.Tags)), fmt.Sprintf("%d, one a word", len(e.Words)))
		return
	}
	for i, tag := range e.Tags {
		e.Tags[i] = r.named(RoleTags, tag, o)
	}
}

// messages reads a list of {"role": ..., "content": ...}.
func (r *rowReader) messages() []Message {
	const want = `a list of {"role": ..., "content": ...} with texts`
	items, _ := parsed(r.cell(RoleMessages)).([]any)
	if len(items) == 0 {
		r.problem(RoleMessages, kindOf(r.cell(RoleMessages)), want)
		return nil
	}
	list := make([]Message, len(items))
	for i, item := range items {
		object, ok := item.(map[string]any)
		if !ok {
			r.problem(RoleMessages, fmt.Sprintf("%s as message %d", kindOf(item), i), want)
			continue
		}
		for _, part := range []struct {
			field string
			text  *string
		}{{"role", &list[i].Role}, {"content", &list[i].Content}} {
			if *part.text, ok = object[part.field].(string); !ok {
				r.problem(RoleMessages, fmt.Sprintf("%s as the %s of message %d", kindOf(object[part.field]), part.field, i), want)
			}
		}
	}
	return list
}

// parsed is a cell, or what the JSON in it says.
func parsed(cell any) any {
	if s, ok := cell.(string); ok {
		var value any
		if json.Unmarshal([]byte(s), &value) == nil {
			return value
		}
	}
	return cell
}

// list reads a list of scalars: a JSON list, one written into a text, or a text with separators.
func (r *rowReader) list(role, separator string) ([]string, bool) {
	cell := r.cell(role)
	if s, ok := cell.(string); ok {
		var list []any
		if json.Unmarshal([]byte(s), &list) != nil {
			return splitList(s, separator), true
		}
		cell = list
	}
	items, ok := cell.([]any)
	list := make([]string, len(items))
	for i, item := range items {
		s, isScalar := scalar(item)
		list[i], ok = s, ok && isScalar
	}
	return list, ok
}

func splitList(s, separator string) []string {
	if separator == " " {
		return strings.Fields(s)
	}
	list := []string{}
	for _, item := range strings.Split(s, separator) {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// answers reads SQuAD's object of two lists, or the original SQuAD's list of objects.
func (r *rowReader) answers(context string) []Answer {
	cell := parsed(r.cell(RoleAnswers))
	found, ok := parseAnswers(cell)
	if !ok {
		r.problem(RoleAnswers, kindOf(cell), `{"text": [...], "answer_start": [...]} of equal length`)
	}
	length := utf8.RuneCountInString(context)
	for _, a := range found {
		if end := a.Start + utf8.RuneCountInString(a.Text); a.Start < 0 || end > length {
			r.problem(RoleAnswers, fmt.Sprintf("an answer from %d to %d", a.Start, end), fmt.Sprintf("one inside the context of %d characters", length))
		}
	}
	return found
}

func parseAnswers(cell any) ([]Answer, bool) {
	if object, ok := cell.(map[string]any); ok {
		texts, isList := object["text"].([]any)
		starts, _ := object["answer_start"].([]any)
		if !isList { // one answer
			texts, starts = []any{object["text"]}, []any{object["answer_start"]}
		}
		return zipAnswers(texts, starts)
	}
	list, ok := cell.([]any)
	var texts, starts []any
	for _, item := range list {
		object, isObject := item.(map[string]any)
		ok = ok && isObject
		texts, starts = append(texts, object["text"]), append(starts, object["answer_start"])
	}
	if !ok {
		return nil, false
	}
	return zipAnswers(texts, starts)
}

func zipAnswers(texts, starts []any) ([]Answer, bool) {
	if len(texts) != len(starts) {
		return nil, false
	}
	var answers []Answer
	for i := range texts {
		text, isText := texts[i].(string)
		number, _ := scalar(starts[i])
		start, err := strconv.Atoi(number)
		if !isText || err != nil {
			return nil, false
		}
		answers = append(answers, Answer{Text: text, Start: start})
	}
	return answers, true
}

// scalar writes a cell as a label is named.
func scalar(cell any) (string, bool) {
	switch v := cell.(type) {
	case string:
		return strings.TrimSpace(v), true
	case bool, json.Number, int32, int64, uint32, uint64:
		return fmt.Sprint(v), true
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return "", false
}

func kindOf(cell any) string {
	switch v := cell.(type) {
	case nil:
		return "nothing"
	case string:
		return quote(v)
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return "an object"
	}
	return fmt.Sprint(cell)
}
