package encoder

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Model is an encoder without pooler and head.
type Model struct {
	nn.Module
	Config     Config
	Embeddings *Embeddings
	Projection *layer.Linear // widens the embeddings to the hidden size; nil: none
	Layers     []*Layer
	// Positions gives every row its position in the table; nil: as they come.
	Positions func(*stack.Pass) []int
}

// Shape returns the model's sizes.
func (m *Model) Shape() models.Shape { return m.Config.Shape }

// Embed returns the word embeddings of ids, [len(ids), width], before positions, types
// and LayerNorm.
func (m *Model) Embed(ids []int) (mat.Tensor, error) {
	return stack.Embed(m.Config.Shape, m.Embeddings.Word, ids)
}

// Forward returns the last layer's hidden states.
func (m *Model) Forward(batch models.Batch) (models.Output, error) {
	return stack.Read(m.Config.Shape, batch, m.run)
}

func (m *Model) run(pass *stack.Pass) models.Output { return pass.Run(m.begin(pass)) }

// begin returns what the first layer reads, and the layers.
func (m *Model) begin(pass *stack.Pass) (mat.Tensor, []stack.Layer) {
	layers := make([]stack.Layer, len(m.Layers))
	for i, l := range m.Layers {
		layers[i] = l
	}
	return m.embed(pass), layers
}

// embed returns what the first layer reads, [R, d].
func (m *Model) embed(pass *stack.Pass) mat.Tensor {
	positions := pass.Positions
	if m.Positions != nil {
		positions = func() []int { return m.Positions(pass) }
	}
	x := m.Embeddings.Forward(pass, positions())
	if m.Projection != nil {
		x = kernel.Replace(x, m.Projection.Forward(x, pass.Deltas))
	}
	return x
}

// Cache returns the keys and values that each layer computes while it reads a sequence,
// [T, H·k]: the prefix that stands for these tokens.
func (m *Model) Cache(sequence models.Sequence) ([]models.KV, error) {
	return stack.Cache(m.Config.Shape, sequence, m.begin, func(l stack.Layer, x mat.Tensor) mat.Tensor { return l.(*Layer).qkv.Forward(x, nil) })
}
