package models_test

import (
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Where nothing is added, layers may take what they made before.
func TestDeltasOf(t *testing.T) {
	spans := []models.Span{{End: 2}, {Start: 2, End: 3}}
	delta := layer.Delta{A: kernel.New(1, 2, []float32{1, 2}), B: kernel.New(2, 1, []float32{3, 4}), Scale: 1}
	adds := &models.Prompt{Deltas: map[string]layer.Delta{"query": delta}}
	for name, test := range map[string]struct {
		prompts []*models.Prompt
		added   bool
	}{
		"no prompts":             {nil, false},
		"none of a sequence":     {[]*models.Prompt{nil, nil}, false},
		"none that add anything": {[]*models.Prompt{nil, {}}, false},
		"one that adds":          {[]*models.Prompt{nil, adds}, true},
	} {
		if d := models.DeltasOf(test.prompts, spans, nil); (d != nil) != test.added {
			t.Errorf("%s: DeltasOf gives %v", name, d)
		}
	}
}
