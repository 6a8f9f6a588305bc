package encoder

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Embeddings are the sum of word, token type and position embeddings, normalised.
type Embeddings struct {
	Word       *layer.Embedding // [vocab, width]
	TokenType  *layer.Embedding // [types, width]; nil: the model knows no types
	Position   *layer.Embedding // [positions, width]; nil: the layers alone know of positions
	Projection *layer.Linear    // widens the sum to the hidden size before it is normalised; nil: none
	Norm       *layer.Norm
	Dropout    float32
}

// NewEmbeddings reads the embeddings under the names that BERT gives them.
func NewEmbeddings(c Config, w *layer.Weights) *Embeddings {
	e := &Embeddings{
		Word:     w.Embedding("word_embeddings", c.Vocab, c.Embedding),
		Position: w.Embedding("position_embeddings", c.MaxPositions, c.Embedding),
		Norm:     w.Norm("LayerNorm", c.Embedding, c.NormEps),
		Dropout:  c.HiddenDropout,
	}
	e.Word.Padding = c.Padding
	if c.TypeVocab > 0 {
		e.TokenType = w.Embedding("token_type_embeddings", c.TypeVocab, c.Embedding)
	}
	return e
}

// Forward returns the rows of a batch, [R, width] or widened, at positions of the table.
func (e *Embeddings) Forward(pass *stack.Pass, positions []int) mat.Tensor {
	x := pass.Words(e.Word)
	var lookups []kernel.Lookup
	if e.TokenType != nil {
		lookups = append(lookups, e.TokenType.Rows(pass.TypeIDs()))
	}
	if e.Position != nil {
		lookups = append(lookups, e.Position.Rows(positions))
	}
	if len(lookups) > 0 {
		x = kernel.Replace(x, kernel.AddEmbed(x, lookups...))
	}
	if e.Projection != nil {
		x = kernel.Replace(x, e.Projection.Forward(x, pass.Deltas))
	}
	x = kernel.Replace(x, e.Norm.Forward(x, nil, pass.Deltas))
	return kernel.Replace(x, kernel.Dropout(x, pass.Batch.Dropout.Mask(e.Dropout)))
}
