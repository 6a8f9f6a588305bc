// Package bert is BERT (Devlin et al. 2019, arXiv 1810.04805), model_type bert, as
// transformers computes it. Start at [Architecture], through models/auto.
package bert

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Model is the encoder without pooler and head.
type Model struct {
	nn.Module
	config     config
	embeddings *embeddings
	layers     []*encoderLayer
}

var _ models.Backbone = (*Model)(nil)

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &Model{config: c, embeddings: newEmbeddings(c, w.At("embeddings"))}
	for i := range c.Layers {
		m.layers = append(m.layers, newEncoderLayer(c, w.At("encoder", "layer", i)))
	}
	return m, nil
}

// Shape returns the model's sizes.
func (m *Model) Shape() models.Shape { return m.config.Shape }

// Embed returns the word embeddings of ids, [len(ids), d], before positions, types
// and LayerNorm.
func (m *Model) Embed(ids []int) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	if err := m.config.CheckIDs(ids); err != nil {
		return nil, err
	}
	return m.embeddings.words(nil, ids), nil
}

// Forward returns the last layer's hidden states.
func (m *Model) Forward(batch models.Batch) (out models.Output, err error) {
	defer models.Guard(&err)
	if err := m.config.Check(batch); err != nil {
		return models.Output{}, err
	}
	spans, firstPosition := models.Layout(batch)
	rows, prompts := models.KernelSpans(spans), models.PromptsOf(batch)
	if prompts != nil && batch.Checkpointing {
		return models.Output{}, fmt.Errorf("%w: it adds to layers, which Checkpointing does not compute again", models.ErrPrompt)
	}
	deltas := models.DeltasOf(prompts, spans, batch.Dropout)
	x := m.embeddings.forward(batch, spans, firstPosition) // [R, d]
	for i, l := range m.layers {
		masks := l.masks(batch.Dropout)
		var only []int // rows that are wanted of this layer; nil: all
		wanted := deltas
		if i == len(m.layers)-1 {
			if only, spans = models.Wanted(batch, spans); only != nil {
				wanted = models.DeltasOf(prompts, spans, batch.Dropout)
			}
		}
		forward := func(x mat.Tensor, past []kernel.Past) mat.Tensor {
			return l.forward(x, rows, past, masks, only, layerDeltas{deltas, wanted})
		}
		if batch.Checkpointing {
			x = kernel.Replace(x, kernel.Checkpoint(x, pasts(batch, i), forward))
		} else {
			x = kernel.Replace(x, forward(x, pasts(batch, i)))
		}
	}
	return models.Output{Hidden: x, Spans: spans, Prompts: prompts}, nil
}

// pasts returns the prefixes of the sequences in one layer; nil where there is none.
func pasts(batch models.Batch, layer int) []kernel.Past {
	past := make([]kernel.Past, len(batch.Sequences))
	any := false
	for i, s := range batch.Sequences {
		if s.Prompt != nil && len(s.Prompt.Past) > 0 {
			past[i] = kernel.Past(s.Prompt.Past[layer])
			any = true
		}
	}
	if !any {
		return nil
	}
	return past
}

// embeddings are the sum of word, token type and position embeddings, normalised.
type embeddings struct {
	width     int
	word      kernel.Values // [vocab, d]
	tokenType kernel.Values // [types, d]
	position  kernel.Values // [positions, d]
	norm      *layer.Norm
	dropout   float32
}

func newEmbeddings(c config, w *layer.Weights) *embeddings {
	return &embeddings{
		width:     c.Hidden,
		word:      w.Stored("word_embeddings.weight", c.Vocab, c.Hidden),
		tokenType: w.Stored("token_type_embeddings.weight", c.TypeVocab, c.Hidden),
		position:  w.Stored("position_embeddings.weight", c.MaxPositions, c.Hidden),
		norm:      w.Norm("LayerNorm", c.Hidden, c.normEps),
		dropout:   c.hiddenDropout,
	}
}

func (e *embeddings) words(pool *models.Pool, ids []int) mat.Tensor {
	return kernel.Embed(pool, kernel.Lookup{Table: e.word, Width: e.width, Index: ids})
}

// forward embeds the tokens, puts the prompts' rows before them, and gives every row
// its token type (a virtual token's is 0) and its position.
func (e *embeddings) forward(batch models.Batch, spans []models.Span, firstPosition []int) mat.Tensor {
	var ids, types, positions []int
	tokens := make([]kernel.Span, len(spans)) // where the sequences lie without prompts
	insertions := make([]kernel.Insertion, len(spans))
	prompted := false
	for i, s := range batch.Sequences {
		tokens[i] = kernel.Span{Start: len(ids), End: len(ids) + len(s.IDs)}
		ids = append(ids, s.IDs...)
		if s.Prompt != nil && s.Prompt.Input != nil {
			insertions[i], prompted = kernel.Insertion{Prompt: s.Prompt.Input, At: s.Virtual}, true
		}
		types = append(types, make([]int, spans[i].Prompt)...)
		if s.TypeIDs == nil {
			types = append(types, make([]int, len(s.IDs))...)
		} else {
			types = append(types, s.TypeIDs...)
		}
		for row := range spans[i].End - spans[i].Start {
			positions = append(positions, firstPosition[i]+row)
		}
	}
	x := e.words(batch.Pool, ids) // [ΣT, d]
	if prompted {
		x = kernel.Replace(x, kernel.InsertRows(x, tokens, insertions)) // [R, d]
	}
	x = kernel.Replace(x, kernel.AddEmbed(
		x,
		kernel.Lookup{Table: e.tokenType, Width: e.width, Index: types},
		kernel.Lookup{Table: e.position, Width: e.width, Index: positions},
	))
	x = kernel.Replace(x, e.norm.Forward(x, nil))
	return kernel.Replace(x, kernel.Dropout(x, batch.Dropout.Mask(e.dropout)))
}

// encoderLayer is self-attention and a feed-forward network, each followed by a
// residual connection and LayerNorm.
type encoderLayer struct {
	heads            int
	qkv              *layer.Linear // queries, keys and values beside each other
	attentionOutput  *layer.Linear
	attentionNorm    *layer.Norm
	intermediate     *layer.Linear
	activation       layer.Activation
	output           *layer.Linear
	outputNorm       *layer.Norm
	attentionDropout float32
	hiddenDropout    float32
}

func newEncoderLayer(c config, w *layer.Weights) *encoderLayer {
	d := c.Hidden
	return &encoderLayer{
		heads:            c.Heads,
		qkv:              w.Stacked(d, d, "attention.self.query", "attention.self.key", "attention.self.value"),
		attentionOutput:  w.Linear("attention.output.dense", d, d),
		attentionNorm:    w.Norm("attention.output.LayerNorm", d, c.normEps),
		intermediate:     w.Linear("intermediate.dense", c.intermediate, d),
		activation:       c.activation,
		output:           w.Linear("output.dense", d, c.intermediate),
		outputNorm:       w.Norm("output.LayerNorm", d, c.normEps),
		attentionDropout: c.attentionDropout,
		hiddenDropout:    c.hiddenDropout,
	}
}

// layerMasks are the dropout masks of one layer in one pass.
type layerMasks struct{ attention, attentionOutput, output kernel.Mask }

func (l *encoderLayer) masks(dropout *layer.Dropout) layerMasks {
	m := layerMasks{attention: dropout.Mask(l.attentionDropout)}
	m.attentionOutput = dropout.Mask(l.hiddenDropout)
	m.output = dropout.Mask(l.hiddenDropout)
	return m
}

// layerDeltas are what adapters add: to all rows, and to those that are wanted of the layer.
type layerDeltas struct{ all, wanted *layer.Deltas }

// forward returns the layer's result, [R, d], or only some rows of it. All rows are attended to.
func (l *encoderLayer) forward(x mat.Tensor, spans []kernel.Span, past []kernel.Past, masks layerMasks, only []int, deltas layerDeltas) mat.Tensor {
	qkv := l.qkv.Forward(x, deltas.all) // [R, 3·H·k]
	options := kernel.AttentionOptions{Heads: l.heads, Drop: masks.attention}
	a := kernel.Replace(qkv, kernel.Attention(qkv, spans, past, options)) // [R, H·k]
	if only != nil {
		a = kernel.Replace(a, kernel.Gather(a, only))
		x = kernel.Gather(x, only)
	}
	a = kernel.Replace(a, l.attentionOutput.Forward(a, deltas.wanted)) // [R, d]
	a = kernel.Replace(a, kernel.Dropout(a, masks.attentionOutput))
	x = l.attentionNorm.Forward(a, x)
	kernel.Release(a)
	f := l.intermediate.Forward(x, deltas.wanted) // [R, intermediate]
	f = kernel.Replace(f, l.activation(f))
	f = kernel.Replace(f, l.output.Forward(f, deltas.wanted)) // [R, d]
	f = kernel.Replace(f, kernel.Dropout(f, masks.output))
	y := l.outputNorm.Forward(f, x)
	kernel.Release(f)
	kernel.Release(x)
	return y
}
