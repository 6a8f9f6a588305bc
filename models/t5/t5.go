// Package t5 is T5 (Raffel et al. 2020, arXiv 1910.10683) with T5 1.1, FLAN-T5 and mT5,
// model_types t5 and mt5, as transformers computes it. Start at [Architecture], through
// models/auto.
package t5

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Model is the encoder and the decoder without a head.
type Model struct {
	nn.Module
	config  config
	words   *layer.Embedding // [vocab, d], of both stacks
	encoder *blocks
	decoder *blocks // nil: the checkpoint of a classifier of tokens holds none
}

var (
	_ models.EncoderDecoder = (*Model)(nil)
	_ models.Decoder        = (*Model)(nil)
	_ stack.Attends         = (*block)(nil)
)

// New reads the stacks. Problems of their tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &Model{config: c, words: w.Embedding("shared", c.Vocab, c.Hidden), encoder: newEncoder(c, w.At("encoder"))}
	w.SameAs("encoder.embed_tokens.weight", "shared.weight", true)
	if !c.encoderOnly {
		m.decoder = newDecoder(c, w.At("decoder"))
		w.SameAs("decoder.embed_tokens.weight", "shared.weight", true)
	}
	return m, nil
}

// Shape returns the model's sizes. Positions are relative: there is no end to them.
func (m *Model) Shape() models.Shape { return m.config.Shape }

// Embed returns the word embeddings of ids, [len(ids), d].
func (m *Model) Embed(ids []int) (mat.Tensor, error) {
	return stack.Embed(m.config.Shape, m.words, ids)
}

// ShiftRight returns what the decoder reads to say labels.
func (m *Model) ShiftRight(labels []int) []int {
	return models.ShiftRight(labels, m.config.start, m.config.padding)
}

// Forward returns the decoder's last hidden states, or for a head that reads the encoder
// alone the encoder's.
func (m *Model) Forward(batch models.Batch) (models.Output, error) { return m.stacks().Read(m, batch) }

// Step reads pieces of the decoder's ids; see [models.Decoder].
func (m *Model) Step(batch models.Batch, caches []*models.Cache) (models.Output, error) {
	return m.stacks().Step(m, batch, caches)
}

func (m *Model) stacks() stack.Stacks {
	s := stack.Stacks{Encoder: func(p *stack.Pass) models.Output { return m.encoder.run(p, m.words) }}
	if m.decoder != nil {
		s.Decoder = func(p *stack.Pass) models.Output { return m.decoder.run(p, m.words) }
		s.DecoderLayers = m.decoder.layers
	}
	return s
}

// blocks are a stack: layers and a norm.
type blocks struct {
	layers  []stack.Layer
	norm    *layer.RMSNorm
	dropout float32
}

func newEncoder(c config, w *layer.Weights) *blocks {
	b := newBlocks(c, w)
	bias := readBias(c, w.At("block", 0, "layer", 0, "SelfAttention"), false)
	for i := range c.Layers {
		at := func(part int) *layer.Weights { return w.At("block", i, "layer", part) }
		b.layers = append(b.layers, &block{self: newSelfAttention(c, at(0), bias, false), feedForward: newFeedForward(c, at(1))})
	}
	return b
}

func newDecoder(c config, w *layer.Weights) *blocks {
	b := newBlocks(c, w)
	bias := readBias(c, w.At("block", 0, "layer", 0, "SelfAttention"), true)
	for i := range c.DecoderLayers {
		at := func(part int) *layer.Weights { return w.At("block", i, "layer", part) }
		b.layers = append(b.layers, &block{
			self: newSelfAttention(c, at(0), bias, true), cross: newCrossAttention(c, at(1)), feedForward: newFeedForward(c, at(2)),
		})
	}
	return b
}

func newBlocks(c config, w *layer.Weights) *blocks {
	return &blocks{norm: w.RMSNorm("final_layer_norm", c.Hidden, c.normEps, 0), dropout: c.dropout}
}

// run puts the rows of a pass through the stack.
func (b *blocks) run(pass *stack.Pass, words *layer.Embedding) models.Output {
	batch := pass.Batch
	x := pass.Words(words) // [R, d]
	x = kernel.Replace(x, kernel.Dropout(x, batch.Dropout.Mask(b.dropout)))
	out := pass.Run(x, b.layers)
	x = kernel.Replace(out.Hidden, b.norm.Forward(out.Hidden))
	out.Hidden = kernel.Replace(x, kernel.Dropout(x, batch.Dropout.Mask(b.dropout)))
	return out
}

// block is self-attention, in a decoder attention to the encoder's rows, and a feed-forward
// network, each of which adds to a row what it makes of its norm.
type block struct {
	self        *selfAttention
	cross       *crossAttention // nil: an encoder's
	feedForward *feedForward
}

// KeysAndValues returns those that the block attends to, [S, 2·H·k].
func (b *block) KeysAndValues(memory stack.Memory) mat.Tensor {
	return b.cross.kv.Forward(memory.Rows, memory.Deltas)
}

// Prepare returns the block's pass, [R, d] to [R, d].
func (b *block) Prepare(dropout *layer.Dropout) stack.Forward {
	self, cross := b.self.prepare(dropout), stack.Forward(nil)
	if b.cross != nil {
		cross = b.cross.prepare(dropout)
	}
	feedForward := b.feedForward.prepare(dropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		kept := in.Keep(x)
		x = added(kept, self(x, in))
		if in.Only != nil {
			kernel.Release(kept)
		}
		if cross != nil {
			x = kernel.Replace(x, added(x, cross(x, in)))
		}
		return kernel.Replace(x, added(x, feedForward(x, in)))
	}
}

// added returns x + y and releases y.
func added(x, y mat.Tensor) mat.Tensor { return kernel.Replace(y, kernel.Add(x, y)) }

// selfAttention attends to the rows of the same stack. Scores are not scaled.
type selfAttention struct {
	norm    *layer.RMSNorm
	qkv     *layer.Linear
	output  *layer.Linear
	options kernel.AttentionOptions
	dropout float32
}

func newSelfAttention(c config, w *layer.Weights, bias *kernel.RelativeBias, causal bool) *selfAttention {
	inner, own := c.Heads*c.HeadDim, w.At("SelfAttention")
	return &selfAttention{
		norm:    w.RMSNorm("layer_norm", c.Hidden, c.normEps, 0),
		qkv:     own.Beside(c.Hidden, false, layer.Part{Name: "q", Out: inner}, layer.Part{Name: "k", Out: inner}, layer.Part{Name: "v", Out: inner}),
		output:  own.Beside(inner, false, layer.Part{Name: "o", Out: c.Hidden}),
		options: kernel.AttentionOptions{Heads: c.Heads, Scale: 1, Causal: causal, Bias: bias},
		dropout: c.dropout,
	}
}

func (a *selfAttention) prepare(dropout *layer.Dropout) stack.Forward {
	options, mask := a.options, kernel.Mask{}
	options.Drop, mask = dropout.Mask(a.dropout), dropout.Mask(a.dropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		x = a.norm.Forward(x)
		x = kernel.Replace(x, a.qkv.Forward(x, in.Deltas)) // [R, 3·H·k]
		in.Store(x)
		x = kernel.Replace(x, kernel.Attention(x, in.Spans, in.Past, options)) // [R, H·k]
		x = kernel.Replace(x, in.Keep(x))
		x = kernel.Replace(x, a.output.Forward(x, in.Wanted)) // [R, d]
		return kernel.Replace(x, kernel.Dropout(x, mask))
	}
}

// crossAttention attends to the encoder's rows, without regard to positions.
type crossAttention struct {
	norm    *layer.RMSNorm
	queries *layer.Linear
	kv      *layer.Linear // of the encoder's rows
	output  *layer.Linear
	options kernel.AttentionOptions
	dropout float32
}

func newCrossAttention(c config, w *layer.Weights) *crossAttention {
	inner, own := c.Heads*c.HeadDim, w.At("EncDecAttention")
	return &crossAttention{
		norm:    w.RMSNorm("layer_norm", c.Hidden, c.normEps, 0),
		queries: own.Beside(c.Hidden, false, layer.Part{Name: "q", Out: inner}),
		kv:      own.Beside(c.Hidden, false, layer.Part{Name: "k", Out: inner}, layer.Part{Name: "v", Out: inner}),
		output:  own.Beside(inner, false, layer.Part{Name: "o", Out: c.Hidden}),
		options: kernel.AttentionOptions{Heads: c.Heads, Scale: 1},
		dropout: c.dropout,
	}
}

func (a *crossAttention) prepare(dropout *layer.Dropout) stack.Forward {
	options, mask := a.options, kernel.Mask{}
	options.Drop, mask = dropout.Mask(a.dropout), dropout.Mask(a.dropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		x = a.norm.Forward(x)
		x = kernel.Replace(x, a.queries.Forward(x, in.Wanted)) // [R, H·k]
		x = kernel.Replace(x, a.attend(x, in, options))
		x = kernel.Replace(x, a.output.Forward(x, in.Wanted)) // [R, d]
		return kernel.Replace(x, kernel.Dropout(x, mask))
	}
}

// attend returns what the queries [R, H·k] find in the encoder's rows, or in their cached keys
// and values.
func (a *crossAttention) attend(q mat.Tensor, in stack.Input, options kernel.AttentionOptions) mat.Tensor {
	if in.Memory.Past != nil {
		return kernel.CrossAttention(q, in.WantedSpans, nil, nil, in.Memory.Past, options)
	}
	kv := a.kv.Forward(in.Memory.Rows, in.Memory.Deltas) // [S, 2·H·k]
	return kernel.Replace(kv, kernel.CrossAttention(q, in.WantedSpans, kv, in.Memory.Spans, nil, options))
}

// feedForward is w·activation(u·x), gated or not.
type feedForward struct {
	norm       *layer.RMSNorm
	inner      *layer.Linear // what is gated stands beside the gate
	activation layer.Activation
	output     *layer.Linear
	dropout    float32
}

func newFeedForward(c config, w *layer.Weights) *feedForward {
	own, parts := w.At("DenseReluDense"), []layer.Part{{Name: "wi", Out: c.intermediate}}
	if c.gated {
		parts = []layer.Part{{Name: "wi_0", Out: c.intermediate}, {Name: "wi_1", Out: c.intermediate}}
	}
	return &feedForward{
		norm:       w.RMSNorm("layer_norm", c.Hidden, c.normEps, 0),
		inner:      own.Beside(c.Hidden, false, parts...),
		activation: c.activation,
		output:     own.Beside(c.intermediate, false, layer.Part{Name: "wo", Out: c.Hidden}),
		dropout:    c.dropout,
	}
}

func (f *feedForward) prepare(dropout *layer.Dropout) stack.Forward {
	inner, outer := dropout.Mask(f.dropout), dropout.Mask(f.dropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		x = f.norm.Forward(x)
		x = kernel.Replace(x, f.inner.Forward(x, in.Wanted))
		x = kernel.Replace(x, f.activation(x)) // [R, intermediate]
		x = kernel.Replace(x, kernel.Dropout(x, inner))
		x = kernel.Replace(x, f.output.Forward(x, in.Wanted)) // [R, d]
		return kernel.Replace(x, kernel.Dropout(x, outer))
	}
}
