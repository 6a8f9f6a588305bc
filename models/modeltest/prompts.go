package modeltest

import (
	"math/rand/v2"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

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
	if !s.decoder {
		return &models.Prompt{Input: p}, []*nn.Param{p}
	}
	d := kernel.NewParam(virtual, shape.Embedding, numtest.Normal(seed+5, virtual*shape.Embedding, 1))
	return &models.Prompt{Input: p, DecoderInput: d}, []*nn.Param{p, d}
}

// pastLayers is how many layers have a cache.
func (s Suite) pastLayers() int {
	shape := s.Backbone.Shape()
	switch {
	case s.noPast:
		return 0
	case shape.DecoderLayers > 0:
		return shape.DecoderLayers
	}
	return shape.Layers
}

func (s Suite) prefix(seed uint64) (*models.Prompt, []*nn.Param) {
	if s.noPast {
		return s.input(seed)
	}
	shape := s.Backbone.Shape()
	width := shape.KVHeads * shape.HeadDim
	prompt, params := &models.Prompt{}, []*nn.Param(nil)
	for l := range s.pastLayers() {
		keys := kernel.NewParam(virtual, width, numtest.Normal(seed+uint64(2*l), virtual*width, 1))
		values := kernel.NewParam(virtual, width, numtest.Normal(seed+uint64(2*l+1), virtual*width, 1))
		prompt.Past = append(prompt.Past, models.KV{Keys: keys, Values: values})
		params = append(params, keys, values)
	}
	return prompt, params
}

func (s Suite) both(seed uint64) (*models.Prompt, []*nn.Param) {
	rows, first := s.input(seed)
	if s.noPast {
		return rows, first
	}
	prefix, second := s.prefix(seed + 1)
	rows.Past = prefix.Past
	return rows, append(first, second...)
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
