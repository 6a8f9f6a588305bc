// Package decoder is what the decoders share that came before Llama: LayerNorms and linears
// with biases, and a feed-forward network without a gate. An architecture reads its config,
// gives the names of its tensors and says what stands between words and layers.
package decoder

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Config holds the fields of config.json that all have, under whatever name.
type Config struct {
	models.Shape
	Intermediate      int
	Activation        layer.Activation
	NormEps           float32
	EmbedDropout      float32
	Dropout           Dropout
	ClassifierDropout float32
	InitRange         float64
	Tied              bool // the word embeddings are the head's weight
	Pad               int  // pad_token_id; -1: none
}

// Model is the decoder without its head.
type Model struct {
	nn.Module
	Config Config
	Words  *layer.Embedding
	// Embeddings makes what the first layer reads of the words and prompts, [R, embedding].
	// It releases x if it returns another tensor.
	Embeddings func(p *stack.Pass, x mat.Tensor) mat.Tensor
	Layers     []*Layer
	Rope       *layer.Rope // nil: none
	// Slopes are what the scores of each head grow by from a key to the next (Press et al.
	// 2021, ALiBi, arXiv 2108.12409); nil: nothing.
	Slopes []float32
	Norm   *layer.Norm // nil: none
	// Project makes the last hidden states of what is normalised; nil: nothing does.
	Project *layer.Linear
	// Classifier is the name of TOKEN_CLS's head; "": there is no such class.
	Classifier string
}

var (
	_ models.Decoder        = (*Model)(nil)
	_ models.HeadedBackbone = (*Model)(nil)
)

// Shape returns the model's sizes.
func (m *Model) Shape() models.Shape { return m.Config.Shape }

// Embed returns the word embeddings of ids, [len(ids), embedding].
func (m *Model) Embed(ids []int) (mat.Tensor, error) {
	return stack.Embed(m.Config.Shape, m.Words, ids)
}

// Forward returns the last hidden states.
func (m *Model) Forward(batch models.Batch) (models.Output, error) {
	return stack.Read(m.Config.Shape, batch, m.run)
}

// Step is Forward of what comes behind caches.
func (m *Model) Step(batch models.Batch, caches []*models.Cache) (models.Output, error) {
	return stack.Step(m.Config.Shape, batch, caches, m.run)
}

func (m *Model) run(p *stack.Pass) models.Output {
	x := m.Embeddings(p, p.Words(m.Words))
	x = kernel.Replace(x, kernel.Dropout(x, p.Batch.Dropout.Mask(m.Config.EmbedDropout)))
	bias := m.bias(p)
	layers := make([]stack.Layer, len(m.Layers))
	for i, l := range m.Layers {
		layers[i] = placed{l, p.Rotation(m.Rope), bias}
	}
	out := p.Run(x, layers)
	deltas := out.Deltas(p.Batch.Dropout)
	if m.Norm != nil {
		out.Hidden = kernel.Replace(out.Hidden, m.Norm.Forward(out.Hidden, nil, deltas))
	}
	if m.Project != nil {
		out.Hidden = kernel.Replace(out.Hidden, m.Project.Forward(out.Hidden, deltas))
	}
	return out
}

// Positions returns the Embeddings that add a learned vector to each row, whose table
// begins with rows that are nobody's.
func Positions(table *layer.Embedding, unused int) func(p *stack.Pass, x mat.Tensor) mat.Tensor {
	return func(p *stack.Pass, x mat.Tensor) mat.Tensor {
		positions := p.Positions()
		for i := range positions {
			positions[i] += unused
		}
		return kernel.Replace(x, kernel.AddEmbed(x, table.Rows(positions)))
	}
}

// bias returns what distances add to scores, as far as a pass needs it. In transformers a key
// adds its slope times its own position: the softmax does not see the difference.
func (m *Model) bias(p *stack.Pass) *kernel.RelativeBias {
	if m.Slopes == nil {
		return nil
	}
	length := 1
	for i, s := range p.Spans {
		length = max(length, p.FirstPosition[i]+s.End-s.Start)
	}
	values := make([]float32, 0, len(m.Slopes)*length)
	for _, slope := range m.Slopes {
		for at := range length {
			values = append(values, -slope*float32(length-1-at))
		}
	}
	return &kernel.RelativeBias{Values: values, Zero: length - 1}
}

// Fields are the names of sizes.
type Fields struct{ Layers, Heads, Hidden string }

// Complete fills what follows from the sizes, and rejects what cannot be computed, and more
// layers than the checkpoint has tensors.
func (c Config) Complete(r *hfio.ConfigReader, names Fields, tensors int) Config {
	if c.Layers > tensors {
		r.Reject(names.Layers, fmt.Sprintf("no more than the %d tensors of the checkpoint", tensors))
	}
	c.KVHeads, c.HeadDim = c.Heads, c.Hidden/max(1, c.Heads)
	if c.HeadDim*c.Heads != c.Hidden {
		r.Reject(names.Heads, "a divisor of "+names.Hidden)
	}
	if c.Embedding == 0 {
		c.Embedding = c.Hidden
	}
	return c
}

// RootScale is 1/√k.
func (c Config) RootScale() float64 { return 1 / math.Sqrt(float64(c.HeadDim)) }
