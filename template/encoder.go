package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// Encoder is a template for one tokenizer and one verbalizer. It is safe for concurrent use.
type Encoder struct {
	template   *Template
	tokenizer  *tokenize.Tokenizer
	verbalizer *models.Verbalizer
	classes    map[string]int // label to its number; nil: by the token
	mask       int
	masks      int
	task       models.Task
	before     []int // special tokens
	behind     []int
	spaced     bool // white space stands before the mask
}

// Language is what an Encoder needs to know of a language model.
type Language struct {
	// Task is MASKED_LM or CAUSAL_LM. A causal model predicts the token that comes next: the
	// mask is no token then but the end, and the words of answers have one token each.
	Task  models.Task
	Vocab int
}

// Bind makes an Encoder. A nil verbalizer takes each token of the vocabulary for a label, as
// probing for facts does.
func (t *Template) Bind(tokenizer *tokenize.Tokenizer, v *Verbalizer, base Language) (*Encoder, error) {
	e := &Encoder{template: t, tokenizer: tokenizer, mask: tokenizer.SpecialIDs().Mask, task: base.Task, spaced: t.spaced()}
	e.before, e.behind = tokenizer.Affixes()
	switch {
	case e.isCausal() && !t.parts[len(t.parts)-1].mask:
		return nil, fmt.Errorf("%w: found %q, want [MASK] at the end: a causal language model answers with what comes next", ErrTemplate, t)
	case e.isCausal():
		e.mask, e.behind = 0, nil // the id where a trained token stands
	case e.mask < 0:
		return nil, fmt.Errorf("%w: found a tokenizer without a mask token, want that of a masked language model", ErrTemplate)
	}
	var err error
	if v == nil {
		e.verbalizer, err = e.tokens(base.Vocab)
	} else {
		e.verbalizer, err = e.words(v)
	}
	if err != nil {
		return nil, err
	}
	e.masks = e.verbalizer.Masks()
	return e, nil
}

func (e *Encoder) isCausal() bool { return e.task == models.CausalLM }

// spaced tells whether white space stands before the mask. It belongs to what fills the
// mask: many vocabularies have other tokens for words behind a space.
func (t *Template) spaced() bool {
	for i, p := range t.parts[1:] {
		if before := t.parts[i]; p.mask {
			return strings.HasSuffix(before.text, " ")
		}
	}
	return false
}

// tokens makes a label of each token.
func (e *Encoder) tokens(vocabulary int) (*models.Verbalizer, error) {
	v := &models.Verbalizer{Labels: make([]string, vocabulary)}
	for id := range vocabulary {
		name, err := e.tokenizer.Decode([]int{id}, false)
		if err != nil {
			return nil, err
		}
		v.Labels[id] = strings.TrimSpace(name)
	}
	return v, nil
}

// words looks up the words of every label.
func (e *Encoder) words(v *Verbalizer) (*models.Verbalizer, error) {
	known := &models.Verbalizer{Labels: v.Labels}
	e.classes = map[string]int{}
	var found []error
	for i, label := range v.Labels {
		e.classes[label] = i
		var words [][]int
		for _, word := range v.Words[label] {
			ids, err := e.word(word)
			if err == nil && e.isCausal() && len(ids) > 1 {
				err = fmt.Errorf("found %d tokens of it, want one: a causal language model answers with one token", len(ids))
			}
			if err != nil {
				found = append(found, fmt.Errorf("%w: word %q of label %q: %w", ErrVerbalizer, word, label, err))
			}
			words = append(words, ids)
		}
		if len(words) == 0 {
			found = append(found, fmt.Errorf("%w: found no word of label %q, want at least one", ErrVerbalizer, label))
		}
		known.Words = append(known.Words, words)
	}
	return known, errors.Join(found...)
}

// word returns the tokens of a word in the place of the mask.
func (e *Encoder) word(word string) ([]int, error) {
	if e.spaced {
		word = " " + word
	}
	encoding, err := e.tokenizer.Encode(word, &tokenize.Options{NoSpecialTokens: true})
	switch unknown := e.tokenizer.SpecialIDs().Unk; {
	case err != nil:
		return nil, err
	case len(encoding.IDs) == 0:
		return nil, errors.New("found no token of it, want at least one")
	case unknown >= 0 && slices.Contains(encoding.IDs, unknown):
		return nil, errors.New("found the token of unknown words for it, want a word of the vocabulary")
	}
	return encoding.IDs, nil
}

// Template returns the template.
func (e *Encoder) Template() *Template { return e.template }

// Task is that of the language model.
func (e *Encoder) Task() models.Task { return e.task }

// Labels are the names of the classes.
func (e *Encoder) Labels() []string { return e.verbalizer.Labels }

// HasWords is false where the labels are the tokens of the vocabulary.
func (e *Encoder) HasWords() bool { return e.classes != nil }

// Class returns the number of a label.
func (e *Encoder) Class(label string) (int, error) {
	if e.HasWords() {
		class, ok := e.classes[label]
		if !ok {
			return 0, fmt.Errorf("%w: found label %q, want one of %q", ErrVerbalizer, label, e.Labels())
		}
		return class, nil
	}
	ids, err := e.word(label)
	if err == nil && len(ids) != 1 {
		err = fmt.Errorf("found %d tokens of it, want one", len(ids))
	}
	if err != nil {
		return 0, fmt.Errorf("%w: label %q, which is a token where no verbalizer says its words: %w", ErrVerbalizer, label, err)
	}
	return ids[0], nil
}

// Model makes of a language model the classifier whose sequences Encode makes.
func (e *Encoder) Model(language *models.Model) (*models.Model, error) {
	return language.Verbalize(e.verbalizer)
}
