// Package deberta is DeBERTa (He et al. 2020, arXiv 2006.03654), its second version and
// DeBERTaV3 (He et al. 2021, arXiv 2111.09543), model_type deberta and deberta-v2, as
// transformers computes them: BERT, whose attention looks at what tokens say and at how far
// they are from each other apart. Start at [Architecture], through models/auto.
package deberta

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Architecture returns the entry in the table of models/auto, for the word that the names
// of the model's classes in transformers begin with: DebertaV2.
func Architecture(class string) models.Architecture {
	return models.Architecture{
		Prefix:  "deberta.",
		Renamed: encoder.Renamed,
		Tasks:   encoder.Tasks(class),
		New:     models.NewBackbone(New),
	}
}

// Model is the encoder without pooler and head.
type Model struct {
	nn.Module
	config     config
	embeddings *encoder.Embeddings
	relative   mat.Tensor // the embeddings of relative positions, [2·span, d]; nil: none
	layers     []*encoderLayer
}

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &Model{config: c, embeddings: newEmbeddings(c, w.At("embeddings"))}
	if c.relative() {
		m.relative = readRelative(c, w.At("encoder"))
	}
	for i := range c.Layers {
		m.layers = append(m.layers, newEncoderLayer(c, w.At("encoder", "layer", i)))
	}
	if c.convolution > 0 {
		m.layers[0].convolution = newConvolution(c, w.At("encoder", "conv"))
	}
	return m, nil
}

func newEmbeddings(c config, w *layer.Weights) *encoder.Embeddings {
	e := &encoder.Embeddings{
		Word:    w.Embedding("word_embeddings", c.Vocab, c.Embedding),
		Norm:    w.Norm("LayerNorm", c.Hidden, c.NormEps),
		Dropout: c.HiddenDropout,
	}
	e.Word.Padding = c.Padding
	if c.MaxPositions > 0 {
		e.Position = w.Embedding("position_embeddings", c.MaxPositions, c.Embedding)
	}
	if c.TypeVocab > 0 {
		e.TokenType = w.Embedding("token_type_embeddings", c.TypeVocab, c.Embedding)
	}
	if c.Embedding != c.Hidden {
		e.Projection = w.Beside(c.Embedding, false, layer.Part{Name: "embed_proj", Out: c.Hidden})
	}
	return e
}

// readRelative reads the embeddings of relative positions, as the layers get them.
func readRelative(c config, w *layer.Weights) mat.Tensor {
	values := w.Values("rel_embeddings.weight", 2*c.span, c.Hidden)
	var norm *layer.Norm
	if c.normRelative {
		norm = w.FixedNorm("LayerNorm", c.Hidden, c.NormEps)
	}
	if w.Err() != nil {
		return nil
	}
	x := kernel.New(2*c.span, c.Hidden, values)
	if norm == nil {
		return x
	}
	return norm.Forward(x, nil, nil)
}

// Shape returns the model's sizes.
func (m *Model) Shape() models.Shape { return m.config.Shape }

// Embed returns the word embeddings of ids, [len(ids), width], before positions, types
// and LayerNorm.
func (m *Model) Embed(ids []int) (mat.Tensor, error) {
	return stack.Embed(m.config.Shape, m.embeddings.Word, ids)
}

// Forward returns the last layer's hidden states.
func (m *Model) Forward(batch models.Batch) (models.Output, error) {
	return stack.Read(m.config.Shape, batch, m.run)
}

func (m *Model) run(pass *stack.Pass) models.Output { return pass.Run(m.begin(pass)) }

// begin returns what the first layer reads, and the layers with the relative positions of the pass.
func (m *Model) begin(pass *stack.Pass) (mat.Tensor, []stack.Layer) {
	positions, layers := m.positions(pass), make([]stack.Layer, len(m.layers))
	for i, l := range m.layers {
		layers[i] = placed{l, positions}
	}
	return m.embeddings.Forward(pass, pass.Positions()), layers
}

// Cache returns the keys and values that each layer computes while it reads a sequence,
// [T, H·k]: the prefix that stands for these tokens.
func (m *Model) Cache(sequence models.Sequence) ([]models.KV, error) {
	return stack.Cache(m.config.Shape, sequence, m.begin, func(l stack.Layer, x mat.Tensor) mat.Tensor { return l.(placed).qkv(x, nil) })
}
