// Package modeltest is the conformance suite of backbones: what every architecture
// must do, checked on a small model with random weights. Call [Run] from the tests
// of an architecture.
package modeltest

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
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
	// Cache returns the keys and values that each layer computes while the backbone
	// reads a sequence, [T, H·k], one a token. nil: those of a [models.Decoder], or a prefix stands for
	// no tokens, since a convolution sees none of its.
	Cache func(models.Sequence) ([]models.KV, error)
	// Step is the distance of finite differences, 0 means 1/16. Norms without a mean bend more.
	Step float64
	// Width is that of the last hidden states, 0 means the model's.
	Width int
	// Weights are the frozen tensors that the backbone was read from, as it holds them.
	Weights []hfio.Tensor

	noPast  bool // the backbone has no cache: prefixes are rows
	decoder bool // prompts have rows for the decoder too
}

// Run runs the suite.
func Run(t *testing.T, s Suite) { s.run(t) }

// run runs the suite without some tests.
func (s Suite) run(t *testing.T, without ...string) {
	d, isDecoder := s.Backbone.(models.Decoder)
	if isDecoder {
		s.Cache = func(sequence models.Sequence) ([]models.KV, error) { return stepped(d, sequence) }
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Concurrent", s.concurrent}, // first: weights are packed at their first use
		{"Shapes", s.shapes},
		{"RaggedEqualsAlone", s.raggedEqualsAlone},
		{"EmptyPrompt", s.emptyPrompt},
		{"FirstRows", s.firstRows},
		{"Reads", s.reads},
		{"PromptAmongTokens", s.promptAmongTokens},
		{"PromptOfWords", s.promptOfWords},
		{"PrefixIsCache", s.prefixIsCache},
		{"Gradients", s.gradients},
		{"SameBits", s.sameBits},
		{"Dropout", s.dropout},
		{"Frozen", s.frozen},
		{"BadInput", s.badInput},
	} {
		if !slices.Contains(without, test.name) {
			t.Run(test.name, test.run)
		}
	}
	if isDecoder {
		s.steppedTests(t, d)
	}
}

func (s Suite) width() int { return cmp.Or(s.Width, s.Backbone.Shape().Hidden) }

func (s Suite) forward(t *testing.T, batch models.Batch) models.Output {
	t.Helper()
	out, err := s.Backbone.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	return out
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
	if want := []int{rows, s.width()}; !slices.Equal(out.Hidden.Shape(), want) {
		t.Errorf("hidden states are %v, want %v", out.Hidden.Shape(), want)
	}
}

// Sequences do not see each other: one in a batch of several prompts has the numbers
// that it has alone.
func (s Suite) raggedEqualsAlone(t *testing.T) {
	batch := s.mixed()
	out := s.forward(t, batch)
	hidden := s.width()
	for i, sequence := range batch.Sequences {
		alone := s.forward(t, models.Batch{Sequences: []models.Sequence{sequence}})
		span := out.Spans[i]
		numtest.SameBits(t, models.Values(out.Hidden)[span.Start*hidden:span.End*hidden], models.Values(alone.Hidden))
	}
}

// A batch of which only first rows are wanted has these rows, and gives the prompts
// the gradients that they have if the other rows are computed and left alone.
func (s Suite) firstRows(t *testing.T) {
	run := func(firstRows bool) (hidden []float32, gradients [][]float32) {
		prompt, params := s.both(30)
		batch := models.Batch{FirstRows: firstRows}
		for _, ids := range s.texts() {
			batch.Sequences = append(batch.Sequences, models.Sequence{IDs: ids, Prompt: prompt})
		}
		out := s.forward(t, batch)
		var first []int
		for _, span := range out.Spans {
			first = append(first, span.Start)
		}
		y := kernel.Gather(out.Hidden, first)
		hidden = slices.Clone(models.Values(y))
		if err := s.Backward(s.probe(y)); err != nil {
			t.Fatal(err)
		}
		for _, p := range params {
			gradients = append(gradients, kernel.Data(p.Grad()))
		}
		return hidden, gradients
	}
	want, wantGradients := run(false)
	got, gradients := run(true)
	numtest.SameBits(t, got, want)
	for i := range gradients {
		numtest.Close(t, gradients[i], wantGradients[i], 1e-5, 1e-7)
	}
}

// Of a batch some of whose sequences say what is read of them these rows are there, under
// prompts before the tokens, among them, and in the layers.
func (s Suite) reads(t *testing.T) {
	batch := s.mixed()
	whole := s.forward(t, batch)
	var rows []int
	var spans []models.Span
	for i := range batch.Sequences {
		sequence, span, start := &batch.Sequences[i], whole.Spans[i], len(rows)
		if i%2 == 0 {
			sequence.Reads = []int{0, len(sequence.IDs) - 1}
			rows = append(rows, span.Start+span.Prompt, span.End-1)
			span.Prompt = 0
		} else {
			for row := span.Start; row < span.End; row++ {
				rows = append(rows, row)
			}
		}
		spans = append(spans, models.Span{Start: start, End: len(rows), Prompt: span.Prompt})
	}
	got := s.forward(t, batch)
	numtest.SameBits(t, models.Values(got.Hidden), models.Values(kernel.Gather(whole.Hidden, rows)))
	if !slices.Equal(got.Spans, spans) {
		t.Errorf("spans are %v, want %v", got.Spans, spans)
	}
}

// Virtual tokens in the place of others, which hold the embeddings of words, are those
// words.
func (s Suite) promptAmongTokens(t *testing.T) {
	ids := s.texts()[2]
	last := len(ids) - 1
	rows, err := s.Backbone.Embed([]int{ids[last], ids[1]})
	if err != nil {
		t.Fatal(err)
	}
	want := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids}}})
	places, placed := make([]int, len(ids)), slices.Clone(ids)
	for i := range places {
		places[i] = -1
	}
	places[last], placed[last] = 0, 0
	places[1], placed[1] = 1, 0
	prompt := &models.Prompt{Input: rows}
	got := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: placed, Prompt: prompt, Virtual: places}}})
	numtest.SameBits(t, models.Values(got.Hidden), models.Values(want.Hidden))
}

func (s Suite) emptyPrompt(t *testing.T) {
	shape := s.Backbone.Shape()
	ids := s.texts()[0]
	want := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids}}})
	empty := &models.Prompt{Input: kernel.New(0, shape.Embedding, nil)}
	for range s.pastLayers() {
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

// A prefix taken from a cache is the tokens that filled it: the tokens after them get
// the hidden states that they have when all is read at once. In an encoder the first
// tokens look at the later ones too, so the cache must be that of the whole sequence;
// in a decoder it is that of the first tokens alone as well.
func (s Suite) prefixIsCache(t *testing.T) {
	if s.Cache == nil {
		t.Skip("a prefix stands for no tokens")
	}
	ids := s.texts()[2]
	whole := models.Sequence{IDs: ids}
	want := s.forward(t, models.Batch{Sequences: []models.Sequence{whole}})
	prompt := &models.Prompt{}
	cache, err := s.Cache(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range cache {
		if rows := kernel.Rows(kv.Keys); rows != len(ids) {
			t.Fatalf("the cache has %d rows, want %d", rows, len(ids))
		}
		prompt.Past = append(prompt.Past, models.KV{Keys: firstRows(kv.Keys), Values: firstRows(kv.Values)})
	}
	got := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids[virtual:], Prompt: prompt}}})
	numtest.Close(t, models.Values(got.Hidden), models.Values(want.Hidden)[virtual*s.width():], 1e-6, 1e-6)
}

func firstRows(x mat.Tensor) mat.Tensor {
	return kernel.New(virtual, kernel.Cols(x), models.Values(x)[:virtual*kernel.Cols(x)])
}

// probe is a loss whose gradient reaches every hidden state.
func (s Suite) probe(hidden mat.Tensor) mat.Tensor {
	return kernel.MSE(hidden, numtest.Normal(99, kernel.Rows(hidden)*kernel.Cols(hidden), 1))
}

func (s Suite) gradients(t *testing.T) {
	for name, create := range map[string]func(uint64) (*models.Prompt, []*nn.Param){"rows": s.input, "prefix": s.prefix, "both": s.both} {
		t.Run(name, func(t *testing.T) {
			prompt, params := create(30)
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
			step := cmp.Or(s.Step, 1.0/16)
			options := &numtest.GradientOptions{Step: step, ATol: 2e-5 / 16 / step}
			numtest.Gradient(t, variables, func() float64 {
				return float64(models.Values(s.probe(s.forward(t, batch).Hidden))[0])
			}, options)
		})
	}
}

// Values and gradients are the same bits in every pass, for every GOMAXPROCS, with a
// pool of which everything that comes back is spoiled, and with checkpointing.
func (s Suite) sameBits(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	var want [][]float32
	pool := models.NewPool()
	pool.Poison = true
	for i, processors := range []int{1, 1, 2, 5, 5, 5, 5, 2} {
		runtime.GOMAXPROCS(processors)
		rows, first := s.input(10)
		prefix, second := s.prefix(20)
		batch := models.Batch{Dropout: layer.NewDropout(5)}
		if i >= 3 && i != 6 {
			batch.Pool = pool
		}
		batch.Checkpointing = i >= 5
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
		pool.Reset()
	}
	batch := s.mixed()
	hidden := models.Values(s.forward(t, batch).Hidden)
	batch.Pool = pool
	numtest.SameBits(t, models.Values(s.forward(t, batch).Hidden), hidden)
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

// Training a prompt leaves every weight as it was, to the bit.
func (s Suite) frozen(t *testing.T) {
	if len(s.Weights) == 0 {
		t.Fatal("the suite knows no weights to look at")
	}
	before := make([][]byte, len(s.Weights))
	for i, w := range s.Weights {
		before[i] = bytes.Clone(w.Data)
	}
	hidden := slices.Clone(models.Values(s.forward(t, s.mixed()).Hidden))
	prompt, params := s.both(40)
	batch := models.Batch{Dropout: layer.NewDropout(3)}
	for _, ids := range s.texts() {
		batch.Sequences = append(batch.Sequences, models.Sequence{IDs: ids, Prompt: prompt})
	}
	if err := s.Backward(s.probe(s.forward(t, batch).Hidden)); err != nil {
		t.Fatal(err)
	}
	for i, p := range params {
		if !p.HasGrad() {
			t.Errorf("parameter %d got no gradient", i)
		}
	}
	for i, w := range s.Weights {
		if !bytes.Equal(w.Data, before[i]) {
			t.Errorf("%s changed", w.Name)
		}
	}
	// The model may hold copies of them, packed.
	numtest.SameBits(t, models.Values(s.forward(t, s.mixed()).Hidden), hidden)
}

func (s Suite) concurrent(t *testing.T) {
	batch := s.mixed()
	found := make([][]float32, 4)
	var wait sync.WaitGroup
	for i := range found {
		wait.Go(func() {
			out, err := s.Backbone.Forward(batch)
			if err != nil {
				t.Error(err)
				return
			}
			found[i] = models.Values(out.Hidden)
		})
	}
	wait.Wait()
	want := models.Values(s.forward(t, batch).Hidden)
	for _, got := range found {
		numtest.SameBits(t, got, want)
	}
}
