// Package adaptertest is the conformance suite of adapter methods: what every
// method must do on any base. Call [Run] from the method's test; the package is
// imported by tests only.
package adaptertest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Suite is one method on one base.
type Suite struct {
	// Base opens a small base model with a head; every call gives the same values.
	Base func(testing.TB) *models.Model
	// Config is the method's, with a task that fits the base.
	Config hfio.AdapterConfig
	// TextIDs is Init.TextIDs.
	TextIDs []int
	// Names lists the parameters of PEFT's module of the method, in any order.
	Names []string
	// Backward is spago's ag.Backward.
	Backward func(...mat.Tensor) error
	// SameStart: every seed starts from the same prompt.
	SameStart bool
}

// Run checks everything that holds for every method.
func Run(t *testing.T, s Suite) {
	t.Run("names are PEFT's", s.names)
	t.Run("a seed decides the bytes", s.seeds)
	t.Run("round trip", s.roundTrip)
	t.Run("round trip without gopeft's files", s.plainRoundTrip)
	t.Run("changed values are saved", s.changes)
	t.Run("resume", s.resume)
	t.Run("gradients", s.gradients)
	t.Run("base is frozen", s.frozenBase)
	t.Run("empty prompt", s.emptyPrompt)
	t.Run("freeze", s.freeze)
	t.Run("mixed batch", s.mixed)
	t.Run("dropout repeats", s.dropout)
}

// tokens are the ids of the suite's sequences; any base has them.
var tokens = [][]int{{1, 5, 6, 7, 2}, {1, 8, 2}, {1, 9, 10, 3, 4, 2}}

// batch gives the tasks of an adapter turns.
func (s Suite) batch(base *models.Model) models.Batch {
	b := models.Batch{}
	for i, ids := range tokens {
		sequence := models.Sequence{IDs: ids}
		if i == 0 && base.Backbone.Shape().TypeVocab > 1 {
			sequence.TypeIDs = []int{0, 0, 1, 1, 1}
		}
		if s.Config.NumTasks > 0 {
			sequence.TaskID = i % s.Config.NumTasks
		}
		b.Sequences = append(b.Sequences, sequence)
	}
	return b
}

func (s Suite) create(t testing.TB, base *models.Model, seed uint64) *adapters.PeftModel {
	t.Helper()
	m, err := adapters.New(base, s.Config, adapters.Init{Rand: rand.New(rand.NewPCG(seed, 0)), TextIDs: s.TextIDs})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return m
}

func load(t testing.TB, dir string, base *models.Model) *adapters.PeftModel {
	t.Helper()
	m, err := adapters.Load(hfio.Dir(dir), base)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return m
}

func save(t testing.TB, m *adapters.PeftModel) string {
	t.Helper()
	dir := t.TempDir()
	if err := adapters.Save(dir, m); err != nil {
		t.Fatalf("Save: %v", err)
	}
	return dir
}

type forwarder interface {
	Forward(models.Batch) (mat.Tensor, models.Output, error)
}

// answers returns the logits, or the features where there is no head.
func answers(t testing.TB, m forwarder, b models.Batch) []float32 {
	t.Helper()
	return kernel.Data(answerOf(t, m, b))
}

func answerOf(t testing.TB, m forwarder, b models.Batch) mat.Tensor {
	t.Helper()
	logits, out, err := m.Forward(b)
	if err != nil {
		t.Fatalf("Forward: %v", err)
	}
	if logits == nil {
		return out.Hidden
	}
	return logits
}

// files reads a directory.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string][]byte{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		contents[entry.Name()] = data
	}
	return contents
}

func sameFiles(t testing.TB, got, want map[string][]byte) {
	t.Helper()
	for name, data := range want {
		if !bytes.Equal(got[name], data) {
			t.Errorf("%s differs: %d bytes, want %d", name, len(got[name]), len(data))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s was not there before", name)
		}
	}
}

// nudge moves every trained value a little, as training does.
func nudge(m *adapters.PeftModel, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	for _, p := range m.Trained() {
		values := kernel.Data(p.Param)
		for i := range values {
			values[i] += float32(0.2 * random.NormFloat64())
		}
	}
}

func (s Suite) names(t *testing.T) {
	m := s.create(t, s.Base(t), 1)
	var got []string
	for _, p := range m.Adapter.Trained() {
		got = append(got, p.Name)
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(s.Names))
	if !slices.Equal(got, want) {
		t.Errorf("Trained() = %v, want %v", got, want)
	}
	for _, p := range m.Trained() {
		if !p.Param.RequiresGrad() {
			t.Errorf("%s takes no gradient", p.Name)
		}
	}
	traversed := 0
	nn.ForEachParam(m.Adapter, func(*nn.Param) { traversed++ })
	if traversed != len(want) {
		t.Errorf("spago's traversal finds %d parameters, want %d", traversed, len(want))
	}
	stored, err := m.Adapter.Stored()
	if err != nil || len(stored) == 0 || stored[0].Name != "prompt_embeddings" {
		t.Errorf("Stored() gives %d tensors, %v; want prompt_embeddings first", len(stored), err)
	}
	for _, tensor := range stored {
		if tensor.DType != hfio.F32 {
			t.Errorf("Stored() gives %s as %s", tensor.Name, tensor.DType)
		}
	}
}

func (s Suite) seeds(t *testing.T) {
	base := s.Base(t)
	first := files(t, save(t, s.create(t, base, 1)))
	sameFiles(t, files(t, save(t, s.create(t, base, 1))), first)
	other := files(t, save(t, s.create(t, base, 2)))
	const weights = hfio.AdapterWeightsFile
	if same := bytes.Equal(first[weights], other[weights]); same != s.SameStart {
		t.Errorf("two seeds give the same bytes: %v, want %v", same, s.SameStart)
	}
}

func (s Suite) roundTrip(t *testing.T) {
	base := s.Base(t)
	m := s.create(t, base, 1)
	nudge(m, 2)
	dir := save(t, m)
	loaded := load(t, dir, base)
	if !loaded.Adapter.Continuable() {
		t.Error("training cannot go on although the side file is there")
	}
	sameFiles(t, files(t, save(t, loaded)), files(t, dir))
	want := answers(t, m, s.batch(base))
	numtest.SameBits(t, answers(t, loaded, s.batch(base)), want)
	numtest.SameBits(t, answers(t, load(t, dir, base), s.batch(base)), want)
	for i, p := range m.Trained() {
		if got := loaded.Trained()[i]; got.Name != p.Name || !numtest.SameBits(t, kernel.Data(got.Param), kernel.Data(p.Param)) {
			t.Errorf("%s came back as %s or with other values", p.Name, got.Name)
		}
	}
}

func (s Suite) plainRoundTrip(t *testing.T) {
	base := s.Base(t)
	m := s.create(t, base, 1)
	nudge(m, 2)
	dir := save(t, m)
	_, encoded := files(t, dir)[hfio.StateFile]
	for _, name := range []string{hfio.StateFile, hfio.InfoFile} {
		_ = os.Remove(filepath.Join(dir, name))
	}
	loaded := load(t, dir, base)
	if got := loaded.Adapter.Continuable(); got == encoded {
		t.Errorf("Continuable() = %v without the encoder, want %v", got, !encoded)
	}
	if encoded && len(loaded.Trained()) > 0 {
		t.Errorf("Trained() lists %d parameters of a prompt whose encoder is lost", len(loaded.Trained()))
	}
	sameFiles(t, files(t, save(t, loaded)), files(t, dir))
	numtest.SameBits(t, answers(t, loaded, s.batch(base)), answers(t, m, s.batch(base)))
}

func (s Suite) changes(t *testing.T) {
	base := s.Base(t)
	loaded := load(t, save(t, s.create(t, base, 1)), base)
	before := answers(t, loaded, s.batch(base))
	nudge(loaded, 3)
	want := answers(t, loaded, s.batch(base))
	if slices.Equal(before, want) {
		t.Fatal("changed values change no answer")
	}
	again := load(t, save(t, loaded), base)
	numtest.SameBits(t, answers(t, again, s.batch(base)), want)
	if !again.Adapter.Continuable() {
		t.Error("training cannot go on after a second save")
	}
}

// resume puts the values of a later moment into the file of an earlier one.
func (s Suite) resume(t *testing.T) {
	base := s.Base(t)
	m := s.create(t, base, 1)
	early, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	nudge(m, 2)
	var values []hfio.Tensor
	for _, p := range m.Trained() {
		shape := []int{kernel.Rows(p.Param), kernel.Cols(p.Param)}
		if strings.Contains(p.Name, "bias") {
			shape = shape[1:]
		}
		values = append(values, hfio.NewFloat32(p.Name, shape, kernel.Data(p.Param)))
	}
	early.State = nil
	resumed, err := adapters.Resume(early, base, values)
	if err != nil {
		t.Fatal(err)
	}
	sameFiles(t, files(t, save(t, resumed)), files(t, save(t, m)))
	if _, err := adapters.Resume(early, base, values[1:]); !errors.Is(err, hfio.ErrNotFound) {
		t.Errorf("with a value missing the error is %v", err)
	}
}

// gradients compares with finite differences. Across the kink of a ReLU they are
// not the gradient: then another point is taken. A wrong gradient is wrong at all.
func (s Suite) gradients(t *testing.T) {
	var last recorder
	for point := range uint64(3) {
		last = recorder{TB: t}
		s.gradientsAt(&last, 2+point)
		if len(last.problems) == 0 {
			return
		}
	}
	t.Errorf("at three points; at the last:\n%s", strings.Join(last.problems, "\n"))
}

// recorder keeps what a check reports.
type recorder struct {
	testing.TB
	problems []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// gradientsAt uses as loss the mean of the squares of all answers.
func (s Suite) gradientsAt(t testing.TB, point uint64) {
	base := s.Base(t)
	m := s.create(t, base, 1)
	nudge(m, point)
	b := s.batch(base)
	y := answerOf(t, m, b)
	graph := kernel.MSE(y, make([]float32, len(kernel.Data(y))))
	if err := s.Backward(graph); err != nil {
		t.Fatal(err)
	}
	var variables []numtest.Variable
	for _, p := range m.Trained() {
		if !p.Param.HasGrad() {
			t.Errorf("%s got no gradient", p.Name)
			continue
		}
		variables = append(variables, numtest.Variable{
			Name: p.Name, Value: kernel.Data(p.Param), Grad: slices.Clone(kernel.Data(p.Param.Grad())),
		})
	}
	loss := func() float64 {
		var sum float64
		y := answers(t, m, b)
		for _, v := range y {
			sum += float64(v) * float64(v)
		}
		return sum / float64(len(y))
	}
	// The noise of a float32 loss grows with it.
	numtest.Gradient(t, variables, loss, &numtest.GradientOptions{ATol: 1e-3 * max(1, loss())})
}

func (s Suite) frozenBase(t *testing.T) {
	base := s.Base(t)
	b := s.batch(base)
	before := slices.Clone(baseAnswers(t, base, b))
	other := s.create(t, base, 5)
	untouched := slices.Clone(answers(t, other, b))
	m := s.create(t, base, 1)
	for range 3 {
		step(t, s, m, b)
	}
	numtest.SameBits(t, baseAnswers(t, base, b), before)
	numtest.SameBits(t, answers(t, other, b), untouched)
	nn.ForEachParam(base.Backbone, func(p *nn.Param) {
		if p.HasGrad() {
			t.Error("a parameter of the base got a gradient")
		}
	})
}

func baseAnswers(t testing.TB, base *models.Model, b models.Batch) []float32 {
	t.Helper()
	logits, out, err := base.Forward(b)
	if err != nil {
		t.Fatalf("base: %v", err)
	}
	if logits == nil {
		return kernel.Data(out.Hidden)
	}
	return kernel.Data(logits)
}

// step is plain gradient descent.
func step(t testing.TB, s Suite, m *adapters.PeftModel, b models.Batch) {
	t.Helper()
	y := answerOf(t, m, b)
	if err := s.Backward(kernel.MSE(y, make([]float32, len(kernel.Data(y))))); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Trained() {
		values, gradient := kernel.Data(p.Param), kernel.Data(p.Param.Grad())
		for i := range values {
			values[i] -= 0.1 * gradient[i]
		}
		p.Param.ZeroGrad()
	}
}

// emptyPrompt cuts the method's prompt to no rows: the answers are the base's.
func (s Suite) emptyPrompt(t *testing.T) {
	base := s.Base(t)
	m := s.create(t, base, 1)
	prompt, err := m.Adapter.Prompt(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	empty := &models.Prompt{}
	if prompt.Input != nil {
		empty.Input = kernel.New(0, kernel.Cols(prompt.Input), nil)
	}
	for _, kv := range prompt.Past {
		none := models.KV{Keys: kernel.New(0, kernel.Cols(kv.Keys), nil), Values: kernel.New(0, kernel.Cols(kv.Values), nil)}
		empty.Past = append(empty.Past, none)
	}
	plain, cut := s.batch(base), s.batch(base)
	for i := range cut.Sequences {
		cut.Sequences[i].Prompt = empty
		if s.Config.TaskType == hfio.QuestionAns || s.Config.TaskType == hfio.FeatureExtraction {
			plain.Sequences[i].TypeIDs = nil
		}
	}
	numtest.SameBits(t, answers(t, m, cut), baseAnswers(t, base, plain))
}

func (s Suite) freeze(t *testing.T) {
	base := s.Base(t)
	b := s.batch(base)
	m := s.create(t, base, 1)
	nudge(m, 2)
	want := slices.Clone(answers(t, m, b))
	f, err := m.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	nudge(m, 3)
	numtest.SameBits(t, answers(t, f, b), want)
	if answerOf(t, f, b).RequiresGrad() {
		t.Error("a frozen adapter keeps a graph")
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() { numtest.SameBits(t, answers(t, f, b), want) })
	}
	wait.Wait()
}

// mixed gives each of two adapters a part of one batch.
func (s Suite) mixed(t *testing.T) {
	base := s.Base(t)
	var frozen []*adapters.Frozen
	for seed := range uint64(2) {
		m := s.create(t, base, seed)
		nudge(m, seed)
		f, err := m.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		frozen = append(frozen, f)
	}
	var requests []adapters.Request
	for i, sequence := range s.batch(base).Sequences {
		requests = append(requests, adapters.Request{Sequence: sequence, Adapter: frozen[i%2]})
	}
	got, err := adapters.ForwardMixed(base, requests)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("%d answers, want one for each adapter", len(got))
	}
	for i, a := range got {
		alone := models.Batch{}
		for _, r := range a.Requests {
			alone.Sequences = append(alone.Sequences, requests[r].Sequence)
		}
		y := a.Logits
		if y == nil {
			y = a.Output.Hidden
		}
		// The same sums over other row blocks of the matrix products.
		numtest.Close(t, kernel.Data(y), answers(t, frozen[i], alone), 1e-5, 1e-5)
	}
}

// dropout: equal seeds drop the same elements.
func (s Suite) dropout(t *testing.T) {
	base := s.Base(t)
	m := s.create(t, base, 1)
	nudge(m, 2)
	run := func(seed uint64) []float32 {
		b := s.batch(base)
		b.Dropout = layer.NewDropout(seed)
		return slices.Clone(answers(t, m, b))
	}
	numtest.SameBits(t, run(7), run(7))
}
