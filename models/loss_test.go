package models_test

import (
	"errors"
	"math"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

// two is the output for two sequences of 3 and 2 rows; the first has a virtual token.
var two = models.Output{Spans: []models.Span{{Start: 0, End: 3, Prompt: 1}, {Start: 3, End: 5}}}

func scores(rows, cols int, values ...float32) mat.Tensor { return kernel.New(rows, cols, values) }

// Losses of scores for which they can be told without a computation. compat_test
// compares others with transformers'.
func TestLoss(t *testing.T) {
	ln := math.Log
	ignored := models.Ignored
	for _, c := range []struct {
		name    string
		task    models.Task
		problem string
		scores  mat.Tensor
		labels  models.Labels
		want    float64
	}{
		{"classes", models.SeqCls, "", scores(2, 4), models.Labels{Classes: []int{0, 3}}, ln(4)},
		{"a class ignored", models.SeqCls, "", scores(2, 2, 9, 0, 0, 0), models.Labels{Classes: []int{ignored, 1}}, ln(2)},
		{"one score is a regression", models.SeqCls, "", scores(2, 1, 1, 4), models.Labels{Values: [][]float32{{3}, {4}}}, 2},
		{"a regression on classes", models.SeqCls, "", scores(2, 1, 1, 4), models.Labels{Classes: []int{3, 4}}, 2},
		{"values are several labels", models.SeqCls, "", scores(2, 2), models.Labels{Values: [][]float32{{0, 1}, {1, 1}}}, ln(2)},
		{"regression of several", models.SeqCls, models.Regression, scores(2, 2), models.Labels{Values: [][]float32{{0, 2}, {2, 2}}}, 3},
		{"tokens", models.TokenCls, "", scores(5, 3), models.Labels{Tokens: [][]int{{ignored, 0, 2}, {1, ignored}}}, ln(3)},
		{"masked words", models.MaskedLM, "", scores(5, 7), models.Labels{Tokens: [][]int{{ignored, 6, ignored}, {1, ignored}}}, ln(7)},
		{"span", models.QuestionAns, "", scores(5, 2), models.Labels{Starts: []int{0, 1}, Ends: []int{2, 1}}, (ln(3) + ln(2)) / 2},
		{"span outside", models.QuestionAns, "", scores(5, 2), models.Labels{Starts: []int{3, -4}, Ends: []int{2, 99}}, (ln(2) + ln(3)) / 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			loss, err := models.Loss(c.task, c.problem, c.scores, two, c.labels)
			if err != nil {
				t.Fatal(err)
			}
			numtest.Close(t, models.Values(loss), []float64{c.want}, 1e-6, 0)
		})
	}
}

func TestLossErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		task    models.Task
		problem string
		scores  mat.Tensor
		labels  models.Labels
		want    error
	}{
		{"no scores", models.FeatureExtraction, "", nil, models.Labels{}, models.ErrUnsupportedTask},
		{"no loss", models.FeatureExtraction, "", scores(2, 2), models.Labels{}, models.ErrUnsupportedTask},
		{"unknown problem type", models.SeqCls, "ranking", scores(2, 2), models.Labels{Classes: []int{0, 0}}, models.ErrUnsupportedTask},
		{"no labels", models.SeqCls, "", scores(2, 2), models.Labels{}, models.ErrLabels},
		{"too few classes", models.SeqCls, "", scores(2, 2), models.Labels{Classes: []int{0}}, models.ErrLabels},
		{"class too large", models.SeqCls, "", scores(2, 2), models.Labels{Classes: []int{0, 2}}, models.ErrLabels},
		{"negative class", models.SeqCls, "", scores(2, 2), models.Labels{Classes: []int{0, -1}}, models.ErrLabels},
		{"too few values", models.SeqCls, "", scores(2, 2), models.Labels{Values: [][]float32{{1, 1}, {1}}}, models.ErrLabels},
		{"a sequence too few", models.TokenCls, "", scores(5, 2), models.Labels{Tokens: [][]int{{0, 0, 0}}}, models.ErrLabels},
		{"no label for the virtual token", models.TokenCls, "", scores(5, 2), models.Labels{Tokens: [][]int{{0, 0}, {0, 0}}}, models.ErrLabels},
		{"token's class too large", models.TokenCls, "", scores(5, 2), models.Labels{Tokens: [][]int{{0, 0, 2}, {0, 0}}}, models.ErrLabels},
		{"an end too few", models.QuestionAns, "", scores(5, 2), models.Labels{Starts: []int{0, 0}, Ends: []int{0}}, models.ErrLabels},
	} {
		if _, err := models.Loss(c.task, c.problem, c.scores, two, c.labels); !errors.Is(err, c.want) {
			t.Errorf("%s: found %v, want %v", c.name, err, c.want)
		}
	}
	// Scores that are not those of the output are a mistake of the caller, not a panic.
	if _, err := models.Loss(models.QuestionAns, "", scores(4, 2), two, models.Labels{Starts: []int{0, 0}, Ends: []int{0, 0}}); err == nil {
		t.Error("scores of 4 rows for an output of 5 were accepted")
	}
}

func TestBestSpan(t *testing.T) {
	everywhere := func(int) bool { return true }
	for _, c := range []struct {
		name       string
		scores     []float32 // start and end of each token
		inContext  func(int) bool
		start, end int
		ok         bool
	}{
		{"start and end apart", []float32{0, 0, 5, 0, 0, 1, 0, 6}, everywhere, 1, 3, true},
		{"an end before the start does not count", []float32{0, 9, 5, 1, 0, 0}, everywhere, 0, 0, true},
		{"the best lies outside of the context", []float32{9, 9, 1, 1, 2, 2}, func(i int) bool { return i > 0 }, 2, 2, true},
		{"no span over a gap", []float32{9, 0, 0, 0, 0, 9}, func(i int) bool { return i != 1 }, 0, 0, true},
		{"no context", []float32{1, 1}, func(int) bool { return false }, 0, 0, false},
		{"nothing", nil, everywhere, 0, 0, false},
	} {
		start, end, _, ok := models.BestSpan(c.scores, c.inContext)
		if start != c.start || end != c.end || ok != c.ok {
			t.Errorf("%s: found %d to %d, %v, want %d to %d, %v", c.name, start, end, ok, c.start, c.end, c.ok)
		}
	}
}
