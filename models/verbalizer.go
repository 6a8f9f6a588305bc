package models

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
)

// Verbalizer says by which words a language model means each label of a classifier.
type Verbalizer struct {
	Labels []string
	// Words are the token ids of the words of each label. nil: each token of the vocabulary
	// is a label.
	Words [][][]int
}

// Masks is how many masks a sequence has, all of which it reads: as many as the longest
// word has tokens.
func (v *Verbalizer) Masks() int {
	n := 1
	for _, words := range v.Words {
		for _, word := range words {
			n = max(n, len(word))
		}
	}
	return n
}

// picks weighs the log probabilities of the tokens: a word's score is the mean over its
// tokens, a label's the mean over its words.
func (v *Verbalizer) picks() [][]kernel.Pick {
	sums := make([][]kernel.Pick, len(v.Words))
	for label, words := range v.Words {
		for _, word := range words {
			for at, token := range word {
				sums[label] = append(sums[label], kernel.Pick{Row: at, Col: token, Weight: 1 / float64(len(words)*len(word))})
			}
		}
	}
	return sums
}

// check reports words that the model's vocabulary lacks, and labels without words.
func (v *Verbalizer) check(shape Shape) error {
	var found []error
	if v.Words == nil && len(v.Labels) != shape.Vocab {
		found = append(found, fmt.Errorf("%w: found %d names, the vocabulary has %d", ErrLabels, len(v.Labels), shape.Vocab))
	}
	if v.Words != nil && len(v.Labels) != len(v.Words) {
		found = append(found, fmt.Errorf("%w: found the words of %d labels, want %d", ErrLabels, len(v.Words), len(v.Labels)))
	}
	for label, words := range v.Words {
		isEmpty := func(word []int) bool { return len(word) == 0 }
		if len(words) == 0 || slices.ContainsFunc(words, isEmpty) {
			found = append(found, fmt.Errorf("%w: label %d: found no word, or one without tokens", ErrLabels, label))
		}
		for _, word := range words {
			found = append(found, shape.CheckIDs(word))
		}
	}
	return errors.Join(found...)
}

// Verbalize makes a classifier of a language model: a text's label is the one whose words
// the model would rather put in place of the masks, which are the Sequence's Reads.
//
// All masks of a text are read in one pass, as Schick & Schütze 2021 train with several masks
// ("It's Not Just Size That Matters", arXiv 2009.07118, section 3.1; words shorter than the
// longest leave the masks behind them unread), and several words of a label count equally, as in
// their code (pet/wrapper.py and pet/pvp.py). The log probability of a word is divided by its
// tokens, so that long words do not lose by their length (Brown et al. 2020, section 2.4).
func (m *Model) Verbalize(v *Verbalizer) (*Model, error) {
	if m.Head == nil {
		return nil, fmt.Errorf("%w: %s scores no words", ErrUnsupportedTask, m.Task)
	}
	if err := v.check(m.Backbone.Shape()); err != nil {
		return nil, err
	}
	classifier := *m
	classifier.Task, classifier.ProblemType, classifier.Labels = SeqCls, SingleLabel, v.Labels
	classifier.Head = &verbalizedHead{words: m.Head, masks: v.Masks(), sums: v.picks(), all: v.Words == nil}
	return &classifier, nil
}

// PeftTask is the task of adapters for the model, as PEFT calls it. PEFT has none for
// templates: it keeps and loads their vectors as it does for bare features.
func (m *Model) PeftTask() Task {
	if _, ok := m.Head.(*verbalizedHead); ok {
		return FeatureExtraction
	}
	return m.Task
}

// verbalizedHead scores labels by the words that another head scores. All of it is frozen.
type verbalizedHead struct {
	nn.Module
	words Head
	masks int // rows of a sequence
	sums  [][]kernel.Pick
	all   bool // each token is a label
}

// Forward reads the rows of the masks, [B·masks, d]: [B, C].
func (h *verbalizedHead) Forward(out Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer Guard(&err)
	for i, span := range out.Spans {
		if n := span.End - span.Start; n != h.masks {
			return nil, fmt.Errorf("%w: sequence %d: found %d rows to read, want %d: those of the masks", ErrLabels, i, n, h.masks)
		}
	}
	logits, err := h.words.Forward(out, dropout) // [B·masks, vocab]
	if err != nil || h.all {
		return logits, err
	}
	return kernel.Replace(logits, kernel.LogProbabilities(logits, h.masks, h.sums)), nil
}

func (h *verbalizedHead) Params() []NamedParam { return h.words.Params() }

func (h *verbalizedHead) Clone() Head {
	clone := *h
	clone.words = h.words.Clone()
	return &clone
}
