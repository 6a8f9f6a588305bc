package train

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/template"
	"github.com/gopeft/gopeft/tokenize"
)

// ErrExample: an example that cannot be made a feature.
var ErrExample = errors.New("wrong example")

// Tokenizer is what Encode needs of a tokenizer. *tokenize.Tokenizer is one.
type Tokenizer interface {
	Encode(text string, opts *tokenize.Options) (tokenize.Encoding, error)
	EncodePair(text, pair string, opts *tokenize.Options) (tokenize.Encoding, error)
	EncodeWords(words []string, opts *tokenize.Options) (tokenize.Encoding, error)
}

// Feature is an example as a model takes it. Labels of tokens and places of answers
// count the tokens of the text alone; virtual tokens are added when a batch is made.
type Feature struct {
	IDs, TypeIDs []int
	Virtual      []int     `json:",omitempty"` // of a template: see models.Sequence
	Reads        []int     `json:",omitempty"` // of a template: its masks; else what gives Targets; nil: all rows
	TaskID       int       // for an adapter of several tasks
	Class        int       // SEQ_CLS with one label
	Values       []float32 // SEQ_CLS with several labels, or a regression
	Tags         []int     // TOKEN_CLS: one a token, models.Ignored where there is none
	DecoderIDs   []int     `json:",omitempty"` // SEQ_2_SEQ_LM
	Targets      []int     `json:",omitempty"` // CAUSAL_LM and SEQ_2_SEQ_LM: the tokens that the rows of Reads are to give; of TOKEN_CLS in a run, its tags
	Weights      []float32 `json:",omitempty"` // of Targets in the loss; nil: 1 each
	Start, End   int       // QUESTION_ANS: first and last token of the answer; 0, 0: none
	Context      *Context  // QUESTION_ANS: what is needed to read an answer
	Line         int       `json:"-"` // of the file, from 1, for messages; 0: not known
}

// Context is the text in which the answer to a question is looked for.
type Context struct {
	Text    string
	Answers []Answer        // all right ones
	Offsets []tokenize.Span // one a token: its characters in Text; {-1, -1} outside of it
}

// EncodeOptions says how examples become features.
type EncodeOptions struct {
	Task        models.Task // "": SEQ_CLS
	ProblemType string      // of SEQ_CLS
	Labels      []string    // names, in the order of the outputs
	MaxLength   int         // tokens of a text, special tokens included; 0: no limit
	Unlabelled  bool
	// Template makes the sequences of SEQ_CLS, and says what its labels are; nil: there is none.
	Template *template.Encoder
	// Writing says how the texts of CAUSAL_LM and SEQ_2_SEQ_LM become sequences.
	Writing
}

// Encode makes a feature of each example, as transformers' examples for the tasks do:
// a word's tag stands on its first token; an answer that was cut off counts as none,
// and of a question and its context only the context is cut. Only a plain text of CAUSAL_LM
// may become several features, if it is longer than MaxLength.
func Encode(t Tokenizer, examples []Example, o EncodeOptions) ([]Feature, error) {
	if o.Task == "" {
		o.Task = models.SeqCls
	}
	e := &encoder{tokenizer: t, options: o, index: map[string]int{}}
	for i, label := range o.Labels {
		e.index[label] = i
	}
	var features []Feature
	var problems unmade
	for _, example := range examples {
		made, err := e.features(example)
		for i := range made {
			made[i].Line = example.Line
		}
		features = append(features, made...)
		if err != nil {
			if problems = problems.with(err, example.Line); len(problems) == MaxProblems {
				break
			}
		}
	}
	return features, problems.err()
}

// unmade are the problems of examples. One that many have is named once.
type unmade []unmadeExample

type unmadeExample struct {
	err     error
	line    int // the first
	further int // how many more have it
}

func (u unmade) with(err error, line int) unmade {
	for i := range u {
		if u[i].err.Error() == err.Error() {
			u[i].further++
			return u
		}
	}
	return append(u, unmadeExample{err: err, line: line})
}

func (u unmade) err() error {
	var found []error
	for _, p := range u {
		err := fmt.Errorf("%w in line %d: %w", ErrExample, p.line, p.err)
		if p.further > 0 {
			err = fmt.Errorf("%w, and so in %d more", err, p.further)
		}
		found = append(found, err)
	}
	return errors.Join(found...)
}

type encoder struct {
	tokenizer Tokenizer
	options   EncodeOptions
	index     map[string]int // label name to output
}

func (e *encoder) features(x Example) ([]Feature, error) {
	if IsWriting(e.options.Task) {
		return e.written(x)
	}
	f, err := e.feature(x)
	return []Feature{f}, err
}

func (e *encoder) feature(x Example) (Feature, error) {
	if e.options.Template != nil {
		return e.filled(x)
	}
	encoding, err := e.encode(x)
	if err != nil {
		return Feature{}, err
	}
	f := Feature{IDs: encoding.IDs, TypeIDs: encoding.TypeIDs, TaskID: x.TaskID}
	switch {
	case e.options.Task == models.QuestionAns:
		e.answer(&f, x, encoding)
	case e.options.Unlabelled || e.options.Task == models.FeatureExtraction:
	case e.options.Task == models.TokenCls:
		f.Tags, err = e.tags(x.Tags, encoding)
	case e.options.ProblemType == models.Regression:
		var v float64
		v, err = strconv.ParseFloat(x.Label, 32)
		f.Values = []float32{float32(v)}
	case e.options.ProblemType == models.MultiLabel:
		f.Values, err = e.several(x.Labels)
	default:
		f.Class, err = e.class(x.Label)
	}
	return f, err
}

// filled makes the feature of an example that a template shows.
func (e *encoder) filled(x Example) (Feature, error) {
	in, err := e.options.Template.Encode(x.Field, e.options.MaxLength)
	if err != nil {
		return Feature{}, err
	}
	f := Feature{IDs: in.IDs, Virtual: in.Virtual, Reads: in.Reads, TaskID: x.TaskID}
	if !e.options.Unlabelled {
		f.Class, err = e.options.Template.Class(x.Label)
	}
	return f, err
}

func (e *encoder) encode(x Example) (tokenize.Encoding, error) {
	o := &tokenize.Options{MaxLength: e.options.MaxLength}
	switch {
	case e.options.Task == models.TokenCls:
		return e.tokenizer.EncodeWords(x.Words, o)
	case e.options.Task == models.QuestionAns:
		o.Truncation = tokenize.OnlySecond
		return e.tokenizer.EncodePair(x.Text, x.Pair, o)
	case x.Pair != "":
		return e.tokenizer.EncodePair(x.Text, x.Pair, o)
	}
	return e.tokenizer.Encode(x.Text, o)
}

func (e *encoder) class(label string) (int, error) {
	class, ok := e.index[label]
	if !ok {
		return 0, fmt.Errorf("found label %s, want one of %q", quote(label), e.options.Labels)
	}
	return class, nil
}

func (e *encoder) several(labels []string) ([]float32, error) {
	values := make([]float32, len(e.options.Labels))
	for _, label := range labels {
		class, err := e.class(label)
		if err != nil {
			return nil, err
		}
		values[class] = 1
	}
	return values, nil
}

// tags puts each word's tag on its first token.
// Source: transformers 5.23, examples/pytorch/token-classification/run_ner.py.
func (e *encoder) tags(tags []string, encoding tokenize.Encoding) ([]int, error) {
	labels := make([]int, len(encoding.IDs))
	previous := -1
	for i, word := range encoding.Words {
		labels[i] = models.Ignored
		if word >= 0 && word != previous {
			if word >= len(tags) {
				return nil, fmt.Errorf("found %d tags, want one for word %d", len(tags), word)
			}
			class, err := e.class(tags[word])
			if err != nil {
				return nil, err
			}
			labels[i] = class
		}
		previous = word
	}
	return labels, nil
}

// answer finds the tokens of the first answer.
// Source: transformers 5.23, examples/pytorch/question-answering/run_qa.py, whose search
// runs on to the last [SEP] where the answer starts in the last token; this one does not.
func (e *encoder) answer(f *Feature, x Example, encoding tokenize.Encoding) {
	f.Context = &Context{Text: x.Pair, Answers: x.Answers, Offsets: slices.Clone(encoding.Offsets)}
	for i, sequence := range encoding.Sequences {
		if sequence != 1 {
			f.Context.Offsets[i] = tokenize.Span{Start: -1, End: -1}
		}
	}
	if len(x.Answers) == 0 || e.options.Unlabelled {
		return
	}
	from := x.Answers[0].Start
	to := from + len([]rune(x.Answers[0].Text))
	start, end := -1, -1
	covered := false
	for i, o := range f.Context.Offsets {
		if o.Start < 0 {
			continue
		}
		if o.Start <= from {
			start = i
		}
		if end < 0 && o.End >= to {
			end, covered = i, true
		}
	}
	if covered && start >= 0 && start <= end {
		f.Start, f.End = start, end
	}
}
