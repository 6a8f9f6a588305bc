package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrVerbalizer: a text that is no verbalizer, or words that a tokenizer or a template has no place for.
var ErrVerbalizer = errors.New("wrong verbalizer")

// Verbalizer says by which words each label is meant.
type Verbalizer struct {
	Labels []string
	Words  map[string][]string // by label
}

// ParseVerbalizer reads "label=word,word;label=word", with line breaks for semicolons where
// it stands in a file, and reports everything that is wrong with it.
func ParseVerbalizer(text string) (*Verbalizer, error) {
	v := &Verbalizer{Words: map[string][]string{}}
	var found []error
	problem := func(what, want string) {
		found = append(found, fmt.Errorf("%w: found %s, want %s", ErrVerbalizer, what, want))
	}
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		label, list, ok := strings.Cut(line, "=")
		label = strings.TrimSpace(label)
		var words []string
		for _, word := range strings.Split(list, ",") {
			words = append(words, strings.TrimSpace(word))
		}
		switch {
		case !ok || label == "":
			problem(fmt.Sprintf("%q", line), "label=word,word")
		case slices.Contains(v.Labels, label):
			problem(fmt.Sprintf("the label %q twice", label), "all its words behind one =")
		case slices.Contains(words, ""):
			problem(fmt.Sprintf("an empty word of %q", label), "words separated with commas")
		default:
			v.Labels, v.Words[label] = append(v.Labels, label), words
		}
	}
	if len(v.Labels) < 2 && len(found) == 0 {
		problem(fmt.Sprintf("%d labels", len(v.Labels)), "at least two, label=word,word;label=word")
	}
	if err := errors.Join(found...); err != nil {
		return nil, err
	}
	return v, nil
}
