package encoder

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Embeddings are the sum of word, token type and position embeddings, normalised.
type Embeddings struct {
	Width     int           // of a row
	Word      kernel.Values // [vocab, width]
	TokenType kernel.Values // [types, width]; none: the model knows no types
	Position  kernel.Values // [positions, width]
	Norm      *layer.Norm
	Dropout   float32
}

// NewEmbeddings reads the embeddings under the names that BERT gives them.
func NewEmbeddings(c Config, w *layer.Weights) *Embeddings {
	e := &Embeddings{
		Width:    c.Embedding,
		Word:     w.Stored("word_embeddings.weight", c.Vocab, c.Embedding),
		Position: w.Stored("position_embeddings.weight", c.MaxPositions, c.Embedding),
		Norm:     w.Norm("LayerNorm", c.Embedding, c.NormEps),
		Dropout:  c.HiddenDropout,
	}
	if c.TypeVocab > 0 {
		e.TokenType = w.Stored("token_type_embeddings.weight", c.TypeVocab, c.Embedding)
	}
	return e
}

// Forward returns the rows of a batch, [R, width], at positions of the table.
func (e *Embeddings) Forward(pass *stack.Pass, positions []int) mat.Tensor {
	x := pass.Words(e.Word, e.Width)
	var lookups []kernel.Lookup
	if e.TokenType.Len() > 0 {
		lookups = append(lookups, kernel.Lookup{Table: e.TokenType, Width: e.Width, Index: pass.TypeIDs()})
	}
	lookups = append(lookups, kernel.Lookup{Table: e.Position, Width: e.Width, Index: positions})
	x = kernel.Replace(x, kernel.AddEmbed(x, lookups...))
	x = kernel.Replace(x, e.Norm.Forward(x, nil))
	return kernel.Replace(x, kernel.Dropout(x, pass.Batch.Dropout.Mask(e.Dropout)))
}
