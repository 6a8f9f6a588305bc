package stack

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Embed is the Embed of a backbone: the word embeddings of ids, [len(ids), width], frozen.
func Embed(shape models.Shape, words *layer.Embedding, ids []int) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	if err := shape.CheckIDs(ids); err != nil {
		return nil, err
	}
	return kernel.Embed(nil, words.FrozenRows(ids)), nil
}

// Read is the Forward of a backbone of one stack: it checks a batch, lays it out, and
// returns what run makes of it.
func Read(shape models.Shape, batch models.Batch, run func(*Pass) models.Output) (_ models.Output, err error) {
	defer models.Guard(&err)
	if err := shape.Check(batch); err != nil {
		return models.Output{}, err
	}
	p, err := Begin(batch)
	if err != nil {
		return models.Output{}, err
	}
	return run(p), nil
}

// Step is the Step of a decoder of one stack: it reads what comes behind caches.
func Step(shape models.Shape, batch models.Batch, caches []*models.Cache, run func(*Pass) models.Output) (_ models.Output, err error) {
	defer models.Guard(&err)
	p, err := behind(shape, batch, caches)
	if err != nil {
		return models.Output{}, err
	}
	return run(p), nil
}
