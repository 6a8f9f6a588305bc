package bert

import (
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// Cache returns the keys and values that each layer computes for one sequence, [T, H·k].
func (m *Model) Cache(sequence models.Sequence) []models.KV {
	batch := models.Batch{Sequences: []models.Sequence{sequence}}
	spans, firstPosition := models.Layout(batch)
	x := m.embeddings.forward(batch, spans, firstPosition)
	var cache []models.KV
	for i, l := range m.layers {
		qkv, width := l.qkv.Forward(x, nil), m.config.Heads*m.config.HeadDim
		cache = append(cache, models.KV{Keys: kernel.Columns(qkv, width, 2*width), Values: kernel.Columns(qkv, 2*width, 3*width)})
		x = l.forward(x, models.KernelSpans(spans), pasts(batch, i), layerMasks{}, nil, layerDeltas{})
	}
	return cache
}
