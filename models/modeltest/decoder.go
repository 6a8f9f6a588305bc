package modeltest

import (
	"errors"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

// Bounds between rows that are computed one by one and all at once: the matrix kernels sum
// in another order.
const stepRTol, stepATol = 2e-6, 2e-6

// steppedTests are the checks of backbones that read piece by piece.
func (s Suite) steppedTests(t *testing.T, d models.Decoder) {
	t.Run("Causal", func(t *testing.T) { s.causal(t) })
	t.Run("Steps", func(t *testing.T) { s.steps(t, d) })
	t.Run("StepReads", func(t *testing.T) { s.stepReads(t, d) })
	t.Run("SharedPrompt", func(t *testing.T) { s.sharedPrompt(t, d) })
	t.Run("Truncate", func(t *testing.T) { s.truncate(t, d) })
	t.Run("BadCache", func(t *testing.T) { s.badCache(t, d) })
}

// stepped is the cache of a sequence that a decoder has read.
func stepped(d models.Decoder, sequence models.Sequence) ([]models.KV, error) {
	c := models.NewCache(d.Shape())
	if _, err := d.Step(models.Batch{Sequences: []models.Sequence{sequence}}, []*models.Cache{c}); err != nil {
		return nil, err
	}
	var layers []models.KV
	for l := range d.Shape().Layers {
		layers = append(layers, c.First(l, c.Len()))
	}
	return layers, nil
}

func (s Suite) step(t *testing.T, d models.Decoder, batch models.Batch, caches []*models.Cache) models.Output {
	t.Helper()
	out, err := d.Step(batch, caches)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// caches are new ones for the sequences of a batch.
func caches(d models.Decoder, batch models.Batch) []*models.Cache {
	var all []*models.Cache
	for range batch.Sequences {
		all = append(all, models.NewCache(d.Shape()))
	}
	return all
}

// What comes later changes nothing: not to the bit.
func (s Suite) causal(t *testing.T) {
	ids := s.texts()[2]
	other := slices.Clone(ids)
	last := len(ids) - 1
	other[last] = (ids[last] + 1) % s.Backbone.Shape().Vocab
	rows := func(ids []int) []float32 {
		out := s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids}}})
		return models.Values(out.Hidden)[:last*s.width()]
	}
	numtest.SameBits(t, rows(other), rows(ids))
}

// Tokens that are read piece by piece, in a batch of several prompts, get the hidden states
// that they have when all is read at once. The prompt may be given with every piece.
func (s Suite) steps(t *testing.T, d models.Decoder) {
	batch := s.mixed()
	whole, hidden := s.forward(t, batch), s.width()
	for _, size := range []int{1, 2, 100} {
		held, got := caches(d, batch), make([][]float32, len(batch.Sequences))
		for at := 0; at < 9; at += size {
			var piece models.Batch
			var own []*models.Cache
			var numbers []int
			for i, sequence := range batch.Sequences {
				if at < len(sequence.IDs) {
					sequence.IDs = sequence.IDs[at:min(at+size, len(sequence.IDs))]
					piece.Sequences, own, numbers = append(piece.Sequences, sequence), append(own, held[i]), append(numbers, i)
				}
			}
			out := s.step(t, d, piece, own)
			for j, i := range numbers {
				span := out.Spans[j]
				got[i] = append(got[i], models.Values(out.Hidden)[span.Start*hidden:span.End*hidden]...)
			}
		}
		for i, span := range whole.Spans {
			numtest.Close(t, got[i], models.Values(whole.Hidden)[span.Start*hidden:span.End*hidden], stepRTol, stepATol)
			if want := len(batch.Sequences[i].IDs) + batch.Sequences[i].Prompt.Len(); held[i].Len() != want {
				t.Errorf("the cache of sequence %d has %d rows, want %d", i, held[i].Len(), want)
			}
		}
	}
}

// Of a step only the rows that are read are returned, of no row none.
func (s Suite) stepReads(t *testing.T, d models.Decoder) {
	batch := s.mixed()
	whole := s.step(t, d, batch, caches(d, batch))
	var rows []int
	for i := range batch.Sequences {
		span, sequence := whole.Spans[i], &batch.Sequences[i]
		switch {
		case i == 0:
			sequence.Reads = []int{}
		case span.Prompt > 0:
			sequence.Reads, rows = []int{-1, len(sequence.IDs) - 1}, append(rows, span.Start+span.Prompt-1, span.End-1)
		default:
			sequence.Reads, rows = []int{0}, append(rows, span.Start+span.Prompt)
		}
	}
	read := s.step(t, d, batch, caches(d, batch))
	numtest.SameBits(t, models.Values(read.Hidden), models.Values(kernel.Gather(whole.Hidden, rows)))
}

// A prompt that is computed once serves sequences that go on from clones of its cache.
func (s Suite) sharedPrompt(t *testing.T, d models.Decoder) {
	ids, hidden := s.texts()[2], s.width()
	for _, create := range []func(uint64) *models.Prompt{
		func(seed uint64) *models.Prompt { p, _ := s.input(seed); return p },
		func(seed uint64) *models.Prompt { p, _ := s.prefix(seed); return p },
		func(seed uint64) *models.Prompt { p, _ := s.both(seed); return p },
		func(uint64) *models.Prompt { return nil },
	} {
		prompt := create(30)
		sequence := models.Sequence{IDs: ids, Prompt: prompt}
		whole := s.forward(t, models.Batch{Sequences: []models.Sequence{sequence}})
		want := models.Values(whole.Hidden)[whole.Spans[0].Prompt*hidden:]
		begun, err := models.Begin(d, prompt)
		if err != nil {
			t.Fatal(err)
		}
		if begun.Len() != prompt.Len() {
			t.Errorf("the cache of the prompt has %d rows, want %d", begun.Len(), prompt.Len())
		}
		first, second := begun.Clone(), begun.Clone()
		batch := models.Batch{Sequences: []models.Sequence{sequence, {IDs: ids[:4], Prompt: prompt}}}
		out := s.step(t, d, batch, []*models.Cache{first, second})
		numtest.Close(t, models.Values(out.Hidden)[:len(want)], want, stepRTol, stepATol)
		if begun.Len() != prompt.Len() {
			t.Errorf("a clone grew the cache to %d rows", begun.Len())
		}
		// A cache can go on from where another one is.
		first.Set(second)
		out = s.step(t, d, models.Batch{Sequences: []models.Sequence{{IDs: ids[4:]}}}, []*models.Cache{first})
		numtest.Close(t, models.Values(out.Hidden), want[4*hidden:], stepRTol, stepATol)
	}
}

// What is forgotten can be read again.
func (s Suite) truncate(t *testing.T, d models.Decoder) {
	ids := s.texts()[2]
	want := models.Values(s.forward(t, models.Batch{Sequences: []models.Sequence{{IDs: ids}}}).Hidden)
	own := []*models.Cache{models.NewCache(d.Shape())}
	s.step(t, d, models.Batch{Sequences: []models.Sequence{{IDs: append(slices.Clone(ids[:3]), 0, 0)}}}, own)
	own[0].Truncate(3)
	out := s.step(t, d, models.Batch{Sequences: []models.Sequence{{IDs: ids[3:]}}}, own)
	numtest.Close(t, models.Values(out.Hidden), want[3*s.width():], stepRTol, stepATol)
}

func (s Suite) badCache(t *testing.T, d models.Decoder) {
	other := d.Shape()
	other.Layers++
	one, batch := models.NewCache(d.Shape()), s.mixed()
	for name, bad := range map[string][]*models.Cache{
		"too few":          {one},
		"none":             {one, nil, nil, nil},
		"twice":            {one, one, models.NewCache(d.Shape()), models.NewCache(d.Shape())},
		"of another model": {one, models.NewCache(other), models.NewCache(other), models.NewCache(other)},
	} {
		if _, err := d.Step(batch, bad); !errors.Is(err, models.ErrCache) {
			t.Errorf("%s: found %v, want ErrCache", name, err)
		}
	}
	if _, err := d.Step(models.Batch{Sequences: []models.Sequence{{}}}, []*models.Cache{one}); !errors.Is(err, models.ErrTokenID) {
		t.Errorf("no token: found %v, want ErrTokenID", err)
	}
	if one.Len() != 0 {
		t.Errorf("steps that were refused left %d rows", one.Len())
	}
	if most := d.Shape().MaxPositions; most > 0 {
		s.step(t, d, models.Batch{Sequences: []models.Sequence{{IDs: make([]int, most)}}}, []*models.Cache{one})
		if _, err := d.Step(models.Batch{Sequences: []models.Sequence{{IDs: []int{0}}}}, []*models.Cache{one}); !errors.Is(err, models.ErrTooLong) {
			t.Errorf("a token too many: found %v, want ErrTooLong", err)
		}
	}
}
