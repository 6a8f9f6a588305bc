package stack

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// Cache returns the keys and values that each layer of an encoder computes while it reads a
// sequence, [T, H·k]: the prefix that stands for these tokens. begin returns what the first
// layer reads, and the layers; qkv the queries, keys and values that a layer makes of what it
// reads, beside each other.
func Cache(shape models.Shape, sequence models.Sequence, begin func(*Pass) (mat.Tensor, []Layer), qkv func(Layer, mat.Tensor) mat.Tensor) (cache []models.KV, err error) {
	defer models.Guard(&err)
	batch := models.Batch{Sequences: []models.Sequence{sequence}}
	if err := shape.Check(batch); err != nil {
		return nil, err
	}
	pass, err := Begin(batch)
	if err != nil {
		return nil, err
	}
	x, layers := begin(pass)
	for _, l := range layers {
		all := qkv(l, x)
		width := kernel.Cols(all) / 3
		cache = append(cache, models.KV{Keys: kernel.Columns(all, width, 2*width), Values: kernel.Columns(all, 2*width, 3*width)})
		x = pass.Run(x, []Layer{l}).Hidden
	}
	return cache, nil
}
