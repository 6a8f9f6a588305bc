// Package template is P-tuning as its paper has it (Liu et al. 2021, "GPT Understands,
// Too", arXiv 2103.10385): a text with trained tokens among its words, places for what
// an example says, and a mask whose words are the answer.
//
//	It was [P1][P2]. The sentiment is [MASK]. {text}
//
// Start at [Parse], then [Template.Bind] for a tokenizer and a [Verbalizer]: the [Encoder]
// makes sequences of examples, and a classifier of a language model. It never trains.
package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrTemplate: a text that is no template, or none for an example or a tokenizer.
var ErrTemplate = errors.New("wrong template")

// Template is a text with places: [P1], [P2], … for trained tokens, the same number for
// the same token; {name} for the field of an example; one [MASK] for the answer.
type Template struct {
	source string
	parts  []part
	fields []string
	// virtual is the number of trained tokens.
	virtual int
}

// part is a piece of a template: text, or one of the places.
type part struct {
	text  string // as it stands
	field string // {field}; "": none
	row   int    // [P(row+1)]; -1: none
	mask  bool   // [MASK]
}

// isSlot tells whether a part is tokens of its own rather than text.
func (p part) isSlot() bool { return p.mask || p.row >= 0 }

// maxVirtual bounds the number of a trained token.
const maxVirtual = 1 << 10

var places = regexp.MustCompile(`\[MASK\]|\[P\d+\]|\{[^{}]*\}`)

// Parse reads a template and reports everything that is wrong with it.
func Parse(source string) (*Template, error) {
	p := &parser{template: &Template{source: source}}
	at := 0
	for _, place := range places.FindAllStringIndex(source, -1) {
		p.text(source[at:place[0]])
		p.place(source[place[0]:place[1]])
		at = place[1]
	}
	p.text(source[at:])
	return p.finish()
}

type parser struct {
	template *Template
	rows     []bool // the trained tokens that occur
	masks    int
	problems []error
}

func (p *parser) problem(found, want string) {
	p.problems = append(p.problems, fmt.Errorf("%w: found %s, want %s", ErrTemplate, found, want))
}

func (p *parser) add(part part) { p.template.parts = append(p.template.parts, part) }

func (p *parser) text(text string) {
	if brace := strings.IndexAny(text, "{}"); brace >= 0 {
		p.problem(fmt.Sprintf("%q without its other half", text[brace]), "{name} around the name of a column")
	}
	if text != "" {
		p.add(part{text: text, row: -1})
	}
}

func (p *parser) place(place string) {
	name := place[1 : len(place)-1]
	switch {
	case place == "[MASK]":
		p.masks++
		p.add(part{row: -1, mask: true})
	case place[0] == '{':
		p.field(name)
	default:
		p.virtual(name)
	}
}

func (p *parser) field(name string) {
	if name == "" {
		p.problem("{}", "{name} with the name of a column")
		return
	}
	if !slices.Contains(p.template.fields, name) {
		p.template.fields = append(p.template.fields, name)
	}
	p.add(part{field: name, row: -1})
}

func (p *parser) virtual(name string) {
	number, err := strconv.Atoi(name[1:])
	if err != nil || number < 1 || number > maxVirtual {
		p.problem("["+name+"]", fmt.Sprintf("[P1] to [P%d]", maxVirtual))
		return
	}
	for len(p.rows) < number {
		p.rows = append(p.rows, false)
	}
	p.rows[number-1] = true
	p.add(part{row: number - 1})
}

func (p *parser) finish() (*Template, error) {
	t := p.template
	t.virtual = len(p.rows)
	if missing := slices.Index(p.rows, false); missing >= 0 {
		p.problem(fmt.Sprintf("[P%d] and no [P%d]", t.virtual, missing+1), "trained tokens numbered from 1 without a gap")
	}
	if p.masks != 1 {
		p.problem(fmt.Sprintf("%d times [MASK]", p.masks), "once: it stands for as many masks as the answer has tokens")
	}
	if len(t.fields) == 0 {
		p.problem("no field of an example", "{text} or the {name} of another column")
	}
	if err := errors.Join(p.problems...); err != nil {
		return nil, err
	}
	return t, nil
}

// String returns the text that was parsed.
func (t *Template) String() string { return t.source }

// Fields are the names in braces, in the order in which they first occur.
func (t *Template) Fields() []string { return slices.Clone(t.fields) }

// VirtualTokens is the number of trained tokens.
func (t *Template) VirtualTokens() int { return t.virtual }
