package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/gopeft/gopeft/models"
)

// checkData finds out before the first step what a later one would fail of.
func checkData(m subject, data Dataset) error {
	var found []error
	if len(data.Train) == 0 {
		found = append(found, fmt.Errorf("%w: found no training examples, want at least one", ErrConfig))
	}
	shape := m.base().Backbone.Shape()
	room := shape.MaxPositions
	for _, set := range []struct {
		name     string
		features []Feature
		measured bool
	}{{"training", data.Train, false}, {"dev", data.Dev, true}} {
		longest, where, prompt := 0, "", m.virtualTokens()
		for i, f := range set.features {
			if n := max(len(f.IDs), len(f.DecoderIDs)); n > longest {
				longest, where = n, f.place(i, set.name)
			}
			if f.Virtual != nil {
				prompt = 0 // its tokens are counted among the others
			}
		}
		if room > 0 && longest+prompt > room {
			found = append(found, fmt.Errorf("%w: the longest, %s, has %d tokens and the prompt %d, want %d together at most: set a maximal length",
				models.ErrTooLong, where, longest, prompt, room))
		}
		found = append(found, checkTokens(shape, set.name, set.features), checkFeatures(m.base().Task, len(m.labels()), set.name, set.features, set.measured))
	}
	return errors.Join(found...)
}

// place says which of a set's features one is, in the words of the file that it was made of, if it was.
func (f Feature) place(i int, set string) string {
	if f.Line > 0 {
		return fmt.Sprintf("line %d of the %s data", f.Line, set)
	}
	return fmt.Sprintf("number %d of the %s examples", i+1, set)
}

// checkTokens reports the features with tokens that the model does not know, up to MaxProblems.
func checkTokens(shape models.Shape, set string, features []Feature) error {
	var found []error
	for i, f := range features {
		if err := errors.Join(shape.CheckIDs(f.IDs), shape.CheckIDs(f.DecoderIDs)); err != nil {
			found = append(found, fmt.Errorf("%s: %w", f.place(i, set), err))
		}
		if len(found) == MaxProblems {
			break
		}
	}
	return errors.Join(found...)
}

// checkFeatures reports the features whose labels do not fit a task with so many outputs (0:
// not known), up to MaxProblems; those that are measured need the context of a question too.
func checkFeatures(task models.Task, outputs int, set string, features []Feature, measured bool) error {
	c := featureCheck{task: task, outputs: outputs, measured: measured}
	if len(features) > 0 {
		c.values = len(features[0].Values)
	}
	var found []error
	for i, f := range features {
		if problem := c.problem(f); problem != "" {
			found = append(found, fmt.Errorf("%w: %s: %s", ErrExample, f.place(i, set), problem))
		}
		if len(found) == MaxProblems {
			break
		}
	}
	if found == nil {
		return checkCounted(task, set, features)
	}
	return errors.Join(found...)
}

// checkCounted reports a set none of whose tokens counts: its loss would be 0, which is none.
func checkCounted(task models.Task, set string, features []Feature) error {
	if len(features) == 0 || counted(task, features) > 0 {
		return nil
	}
	what := "token to learn"
	if task == models.TokenCls {
		what = "tag"
	}
	return fmt.Errorf("%w: the %s examples hold no %s: were they cut before it, or are they too short?", ErrExample, set, what)
}

// featureCheck is what the labels of features must fit.
type featureCheck struct {
	task     models.Task
	outputs  int // 0: not known
	values   int // of the first feature
	measured bool
}

// problem says what is wrong with a feature, or "".
func (c featureCheck) problem(f Feature) string {
	switch c.task {
	case models.SeqCls:
		return c.sequence(f)
	case models.TokenCls:
		return c.tokens(f)
	case models.CausalLM, models.Seq2SeqLM:
		return c.targets(f)
	case models.QuestionAns:
		return c.answer(f)
	}
	return ""
}

func (c featureCheck) sequence(f Feature) string {
	if len(f.Values) != c.values {
		return fmt.Sprintf("found %d values, want %d as the first has", len(f.Values), c.values)
	}
	for _, v := range f.Values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Sprintf("found the value %v, want a finite number", v)
		}
	}
	if f.Values == nil && !c.isClass(f.Class) {
		return fmt.Sprintf("found class %d, want %s", f.Class, c.classes())
	}
	return ""
}

func (c featureCheck) tokens(f Feature) string {
	if len(f.Tags) != len(f.IDs) {
		return fmt.Sprintf("found %d tags, want %d, one a token", len(f.Tags), len(f.IDs))
	}
	for _, tag := range f.Tags {
		if tag != models.Ignored && !c.isClass(tag) {
			return fmt.Sprintf("found tag %d, want %s, or %d for none", tag, c.classes(), models.Ignored)
		}
	}
	return ""
}

func (c featureCheck) targets(f Feature) string {
	if len(f.Targets) != len(f.Reads) {
		return fmt.Sprintf("found %d tokens to learn, want %d, one a row that is read", len(f.Targets), len(f.Reads))
	}
	return ""
}

func (c featureCheck) answer(f Feature) string {
	n := len(f.IDs)
	if f.Start < 0 || f.End < f.Start || f.End >= n {
		return fmt.Sprintf("found an answer from token %d to %d, want it among %d", f.Start, f.End, n)
	}
	if !c.measured {
		return ""
	}
	if f.Context == nil {
		return "found no context, want the one that Encode gives"
	}
	if len(f.Context.Offsets) != n {
		return fmt.Sprintf("found %d offsets of the context, want %d, one a token", len(f.Context.Offsets), n)
	}
	return ""
}

func (c featureCheck) isClass(class int) bool {
	return class >= 0 && (c.outputs == 0 || class < c.outputs)
}

func (c featureCheck) classes() string {
	if c.outputs == 0 {
		return "0 or more"
	}
	return fmt.Sprintf("0 to %d", c.outputs-1)
}
