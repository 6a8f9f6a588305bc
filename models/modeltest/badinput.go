package modeltest

import (
	"errors"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

func (s Suite) badInput(t *testing.T) {
	shape := s.Backbone.Shape()
	rows, _ := s.input(1)
	prefix, _ := s.prefix(1)
	if shape.MaxPositions > 0 {
		s.longest(t, rows)
		s.longest(t, prefix)
	}
	if shape.TypeVocab == 0 {
		s.typesIgnored(t)
	}
	for name, c := range map[string]struct {
		sequence models.Sequence
		want     error
	}{
		"no token":              {models.Sequence{}, models.ErrTokenID},
		"token too large":       {models.Sequence{IDs: []int{shape.Vocab}}, models.ErrTokenID},
		"negative token":        {models.Sequence{IDs: []int{-1}}, models.ErrTokenID},
		"type too large":        {models.Sequence{IDs: []int{1}, TypeIDs: []int{shape.TypeVocab}}, models.ErrTokenID},
		"too few types":         {models.Sequence{IDs: []int{1, 2}, TypeIDs: []int{0}}, models.ErrTokenID},
		"narrow rows":           {models.Sequence{IDs: []int{1}, Prompt: &models.Prompt{Input: kernel.New(1, shape.Embedding-1, nil)}}, models.ErrPrompt},
		"a layer too few":       {models.Sequence{IDs: []int{1}, Prompt: &models.Prompt{Past: prefix.Past[1:]}}, models.ErrPrompt},
		"no keys and values":    {models.Sequence{IDs: []int{1}, Prompt: &models.Prompt{Past: make([]models.KV, s.pastLayers())}}, models.ErrPrompt},
		"narrow keys":           {models.Sequence{IDs: []int{1}, Prompt: s.reshaped(virtual, -1)}, models.ErrPrompt},
		"places of too few":     {models.Sequence{IDs: []int{1, 2}, Prompt: rows, Virtual: []int{0}}, models.ErrPrompt},
		"no such virtual token": {models.Sequence{IDs: []int{1, 2}, Prompt: rows, Virtual: []int{-1, virtual}}, models.ErrPrompt},
		"virtual, no prompt":    {models.Sequence{IDs: []int{1, 2}, Virtual: []int{0, -1}}, models.ErrPrompt},
		"reads beyond the end":  {models.Sequence{IDs: []int{1, 2}, Reads: []int{2}}, models.ErrTokenID},
		"reads not in order":    {models.Sequence{IDs: []int{1, 2}, Reads: []int{1, 0}}, models.ErrTokenID},
		"a row more in a layer": {models.Sequence{IDs: []int{1}, Prompt: s.reshaped(virtual+1, 0)}, models.ErrPrompt},
	} {
		if name == "type too large" && shape.TypeVocab == 0 {
			continue
		}
		_, err := s.Backbone.Forward(models.Batch{Sequences: []models.Sequence{{IDs: []int{1}}, c.sequence, c.sequence}})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: found %v, want %v", name, err, c.want)
			continue
		}
		if text := err.Error(); !strings.Contains(text, "sequence 1:") || !strings.Contains(text, "sequence 2:") {
			t.Errorf("%s: %q does not name both sequences", name, text)
		}
	}
	if _, err := s.Backbone.Embed([]int{shape.Vocab}); !errors.Is(err, models.ErrTokenID) {
		t.Errorf("Embed of a token too large: found %v, want ErrTokenID", err)
	}
}

// typesIgnored wants token types to change nothing where the model knows none.
func (s Suite) typesIgnored(t *testing.T) {
	run := func(types []int) []float32 {
		return models.Values(s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: []int{1, 2}, TypeIDs: types}}}).Hidden)
	}
	numtest.SameBits(t, run([]int{0, 1}), run(nil))
}

// longest wants a sequence that fills all positions to be read, and one token more to
// be an error: the virtual tokens count.
func (s Suite) longest(t *testing.T, prompt *models.Prompt) {
	ids := make([]int, s.Backbone.Shape().MaxPositions-virtual+1)
	s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids[1:], Prompt: prompt}}})
	_, err := s.Backbone.Forward(models.Batch{Sequences: []models.Sequence{{IDs: ids, Prompt: prompt}}})
	if !errors.Is(err, models.ErrTooLong) {
		t.Errorf("a token too many: found %v, want ErrTooLong", err)
	}
}

// reshaped is a prefix whose last layer has other keys.
func (s Suite) reshaped(rows, columns int) *models.Prompt {
	prompt, _ := s.prefix(1)
	last := &prompt.Past[len(prompt.Past)-1]
	last.Keys = kernel.New(rows, kernel.Cols(last.Keys)+columns, nil)
	return prompt
}
