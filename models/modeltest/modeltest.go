// Package modeltest is the conformance suite of backbones: what every architecture
// must do, checked on a small model with random weights. Call [Run] from the tests
// of an architecture.
package modeltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Suite is what Run needs of an architecture.
type Suite struct {
	Backbone models.Backbone
	// Backward runs the backward pass: ag.Backward.
	Backward func(...mat.Tensor) error
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Run("Shapes", s.shapes)
	t.Run("RaggedEqualsAlone", s.raggedEqualsAlone)
	t.Run("EmptyPrompt", s.emptyPrompt)
	t.Run("PromptOfWords", s.promptOfWords)
	t.Run("Gradients", s.gradients)
	t.Run("SameBits", s.sameBits)
	t.Run("Dropout", s.dropout)
	t.Run("BadInput", s.badInput)
	t.Run("Concurrent", s.concurrent)
}

// virtual is the number of virtual tokens in the suite's prompts.
const virtual = 3

func (s Suite) texts() [][]int {
	random := rand.New(rand.NewPCG(1, 2))
	texts := make([][]int, 4)
	for i, n := range []int{5, 1, 9, 3} {
		for range n {
			texts[i] = append(texts[i], random.IntN(s.Backbone.Shape().Vocab))
		}
	}
	return texts
}

// input is a prompt of rows, and prefix one of keys and values; the parameters are
// what they are made of.
func (s Suite) input(seed uint64) (*models.Prompt, []*nn.Param) {
	shape := s.Backbone.Shape()
	p := kernel.NewParam(virtual, shape.Embedding, numtest.Normal(seed, virtual*shape.Embedding, 1))
	return &models.Prompt{Input: p}, []*nn.Param{p}
}

func (s Suite) prefix(seed uint64) (*models.Prompt, []*nn.Param) {
	shape := s.Backbone.Shape()
	width := shape.KVHeads * shape.HeadDim
	prompt, params := &models.Prompt{}, []*nn.Param(nil)
	for l := range shape.Layers {
		keys := kernel.NewParam(virtual, width, numtest.Normal(seed+uint64(2*l), virtual*width, 1))
		values := kernel.NewParam(virtual, width, numtest.Normal(seed+uint64(2*l+1), virtual*width, 1))
		prompt.Past = append(prompt.Past, models.KV{Keys: keys, Values: values})
		params = append(params, keys, values)
	}
	return prompt, params
}

func (s Suite) forward(t *testing.T, batch models.Batch) models.Output {
	t.Helper()
	out, err := s.Backbone.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// mixed is a batch of several texts with no prompt, rows and a prefix.
func (s Suite) mixed() models.Batch {
	rows, _ := s.input(10)
	prefix, _ := s.prefix(20)
	prompts := []*models.Prompt{nil, rows, prefix, rows}
	var batch models.Batch
	for i, ids := range s.texts() {
		batch.Sequences = append(batch.Sequences, models.Sequence{IDs: ids, Prompt: prompts[i]})
	}
	return batch
}

func (s Suite) shapes(t *testing.T) {
	batch := s.mixed()
	out := s.forward(t, batch)
	rows := 0
	for i, span := range out.Spans {
		sequence := batch.Sequences[i]
		prompt := 0
		if sequence.Prompt != nil && sequence.Prompt.Input != nil {
			prompt = virtual
		}
		if span.Start != rows || span.Prompt != prompt || span.End-span.Start != prompt+len(sequence.IDs) {
			t.Errorf("span %d is %+v", i, span)
		}
		rows = span.End
	}
	if want := []int{rows, s.Backbone.Shape().Hidden}; !slices.Equal(out.Hidden.Shape(), want) {
		t.Errorf("hidden states are %v, want %v", out.Hidden.Shape(), want)
	}
}

// Sequences do not see each other: one in a batch of several prompts has the numbers
// that it has alone.
func (s Suite) raggedEqualsAlone(t *testing.T) {
	batch := s.mixed()
	out := s.forward(t, batch)
	hidden := s.Backbone.Shape().Hidden
	for i, sequence := range batch.Sequences {
		alone := s.forward(t, models.Batch{Sequences: []models.Sequence{sequence}})
		span := out.Spans[i]
		numtest.SameBits(t, models.Values(out.Hidden)[span.Start*hidden:span.End*hidden], models.Values(alone.Hidden))
	}
}

func (s Suite) emptyPrompt(t *testing.T) {
	shape := s.Backbone.Shape()
	ids := s.texts()[0]
	want := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids}}})
	empty := &models.Prompt{Input: kernel.New(0, shape.Embedding, nil)}
	for l := 0; l < shape.Layers; l++ {
		none := kernel.New(0, shape.KVHeads*shape.HeadDim, nil)
		empty.Past = append(empty.Past, models.KV{Keys: none, Values: none})
	}
	for _, prompt := range []*models.Prompt{{}, empty} {
		got := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids, Prompt: prompt}}})
		numtest.SameBits(t, models.Values(got.Hidden), models.Values(want.Hidden))
	}
}

// A prompt of the embeddings of words is those words.
func (s Suite) promptOfWords(t *testing.T) {
	ids := s.texts()[2]
	rows, err := s.Backbone.Embed(ids[:virtual])
	if err != nil {
		t.Fatal(err)
	}
	want := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids}}})
	got := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids[virtual:], Prompt: &models.Prompt{Input: rows}}}})
	numtest.SameBits(t, models.Values(got.Hidden), models.Values(want.Hidden))
}

// probe is a loss whose gradient reaches every hidden state.
func (s Suite) probe(hidden mat.Tensor) mat.Tensor {
	return kernel.MSE(hidden, numtest.Normal(99, kernel.Rows(hidden)*kernel.Cols(hidden), 1))
}

func (s Suite) gradients(t *testing.T) {
	for name, make := range map[string]func(uint64) (*models.Prompt, []*nn.Param){"rows": s.input, "prefix": s.prefix} {
		t.Run(name, func(t *testing.T) {
			prompt, params := make(30)
			var batch models.Batch
			for _, ids := range s.texts() {
				batch.Sequences = append(batch.Sequences, models.Sequence{IDs: ids, Prompt: prompt})
			}
			if err := s.Backward(s.probe(s.forward(t, batch).Hidden)); err != nil {
				t.Fatal(err)
			}
			var variables []numtest.Variable
			for i, p := range params {
				variables = append(variables, numtest.Variable{Name: fmt.Sprint(i), Value: kernel.Data(p), Grad: kernel.Data(p.Grad())})
			}
			// The loss is the mean over all hidden states: gradients of one element are small.
			options := &numtest.GradientOptions{Step: 1.0 / 16, ATol: 2e-5}
			numtest.Gradient(t, variables, func() float64 {
				return float64(models.Values(s.probe(s.forward(t, batch).Hidden))[0])
			}, options)
		})
	}
}

// Values and gradients are the same bits in every pass and for every GOMAXPROCS.
func (s Suite) sameBits(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	var want [][]float32
	for _, processors := range []int{1, 1, 2, 5} {
		runtime.GOMAXPROCS(processors)
		rows, first := s.input(10)
		prefix, second := s.prefix(20)
		batch := models.Batch{Dropout: layer.NewDropout(5)}
		for i, ids := range s.texts() {
			batch.Sequences = append(batch.Sequences, models.Sequence{IDs: ids, Prompt: []*models.Prompt{rows, prefix}[i%2]})
		}
		loss := s.probe(s.forward(t, batch).Hidden)
		if err := s.Backward(loss); err != nil {
			t.Fatal(err)
		}
		got := [][]float32{models.Values(loss)}
		for _, p := range append(first, second...) {
			got = append(got, kernel.Data(p.Grad()))
		}
		if want == nil {
			want = got
		}
		for i := range got {
			numtest.SameBits(t, got[i], want[i])
		}
	}
}

// Dropout changes the numbers in training, the same way for the same seed, and not in
// evaluation. The model must have a dropout above 0.
func (s Suite) dropout(t *testing.T) {
	run := func(d *layer.Dropout) []float32 {
		batch := s.mixed()
		batch.Dropout = d
		return models.Values(s.forward(t, batch).Hidden)
	}
	numtest.SameBits(t, run(layer.NewDropout(1)), run(layer.NewDropout(1)))
	numtest.SameBits(t, run(nil), run(nil))
	if slices.Equal(run(layer.NewDropout(1)), run(layer.NewDropout(2))) {
		t.Error("two seeds drop the same")
	}
	if slices.Equal(run(layer.NewDropout(1)), run(nil)) {
		t.Error("nothing is dropped in training")
	}
}

func (s Suite) badInput(t *testing.T) {
	shape := s.Backbone.Shape()
	rows, _ := s.input(1)
	prefix, _ := s.prefix(1)
	long := make([]int, shape.MaxPositions-virtual+1)
	for name, c := range map[string]struct {
		sequence models.Sequence
		want     error
	}{
		"no token":             {models.Sequence{}, models.ErrTokenID},
		"token too large":      {models.Sequence{IDs: []int{shape.Vocab}}, models.ErrTokenID},
		"negative token":       {models.Sequence{IDs: []int{-1}}, models.ErrTokenID},
		"type too large":       {models.Sequence{IDs: []int{1}, TypeIDs: []int{shape.TypeVocab}}, models.ErrTokenID},
		"too few types":        {models.Sequence{IDs: []int{1, 2}, TypeIDs: []int{0}}, models.ErrTokenID},
		"too long with rows":   {models.Sequence{IDs: long, Prompt: rows}, models.ErrTooLong},
		"too long with prefix": {models.Sequence{IDs: long, Prompt: prefix}, models.ErrTooLong},
		"narrow rows":          {models.Sequence{IDs: []int{1}, Prompt: &models.Prompt{Input: kernel.New(1, shape.Embedding-1, nil)}}, models.ErrPrompt},
		"a layer too few":      {models.Sequence{IDs: []int{1}, Prompt: &models.Prompt{Past: prefix.Past[1:]}}, models.ErrPrompt},
	} {
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

func (s Suite) concurrent(t *testing.T) {
	batch := s.mixed()
	want := models.Values(s.forward(t, batch).Hidden)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			out, err := s.Backbone.Forward(batch)
			if err != nil || !slices.Equal(models.Values(out.Hidden), want) {
				t.Errorf("found other numbers, or %v", err)
			}
		})
	}
	wait.Wait()
}
