// Package bart is BART (Lewis et al. 2020, arXiv 1910.13461) with mBART, BARThez and PEGASUS,
// model_types bart, mbart and pegasus, as transformers computes them. Start at [Architecture],
// through models/auto.
package bart

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
	decoder *blocks
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
	words := w.Embedding("shared", c.Vocab, c.Hidden)
	for _, stack := range []string{"encoder", "decoder"} {
		w.SameAs(stack+".embed_tokens.weight", "shared.weight", c.tied)
	}
	if !c.scaleRows {
		words.Scale = c.scale
	}
	return &Model{config: c, words: words, encoder: newEncoder(c, w.At("encoder")), decoder: newDecoder(c, w.At("decoder"))}, nil
}

// Shape returns the model's sizes.
func (m *Model) Shape() models.Shape { return m.config.Shape }

// Embed returns the word embeddings of ids, [len(ids), d], scaled where their module does
// that in transformers.
func (m *Model) Embed(ids []int) (mat.Tensor, error) {
	return stack.Embed(m.config.Shape, m.words, ids)
}

// ShiftRight returns what the decoder reads to say labels.
func (m *Model) ShiftRight(labels []int) []int { return m.config.shiftRight(labels) }

// Forward returns the decoder's last hidden states, or for a head that reads the encoder
// alone the encoder's.
func (m *Model) Forward(batch models.Batch) (models.Output, error) { return m.stacks().Read(m, batch) }

// Step reads pieces of the decoder's ids; see [models.Decoder].
func (m *Model) Step(batch models.Batch, caches []*models.Cache) (models.Output, error) {
	return m.stacks().Step(m, batch, caches)
}

func (m *Model) stacks() stack.Stacks {
	return stack.Stacks{
		Encoder:       func(p *stack.Pass) models.Output { return m.encoder.run(p, m.words) },
		Decoder:       func(p *stack.Pass) models.Output { return m.decoder.run(p, m.words) },
		DecoderLayers: m.decoder.layers,
	}
}

// blocks are a stack: embeddings, layers, and where the layers begin with norms a norm.
type blocks struct {
	embeddings *embeddings
	layers     []stack.Layer
	norm       *layer.Norm // nil: none
}

func newEncoder(c config, w *layer.Weights) *blocks {
	b := newBlocks(c, w, false)
	for i := range c.Layers {
		at := w.At("layers", i)
		b.layers = append(b.layers, &block{self: newSelfAttention(c, at, c.Heads, false), feedForward: newFeedForward(c, at, c.intermediate)})
	}
	return b
}

func newDecoder(c config, w *layer.Weights) *blocks {
	b := newBlocks(c, w, true)
	for i := range c.DecoderLayers {
		at := w.At("layers", i)
		b.layers = append(b.layers, &block{
			self: newSelfAttention(c, at, c.DecoderHeads, true), cross: newCrossAttention(c, at), feedForward: newFeedForward(c, at, c.decoderIntermediate),
		})
	}
	return b
}

func newBlocks(c config, w *layer.Weights, decoder bool) *blocks {
	b := &blocks{embeddings: newEmbeddings(c, w, decoder)}
	if c.normFirst {
		b.norm = w.Norm("layer_norm", c.Hidden, normEps)
	}
	return b
}

const normEps = 1e-5 // torch's default

// run puts the rows of a pass through the stack.
func (b *blocks) run(pass *stack.Pass, words *layer.Embedding) models.Output {
	out := pass.Run(b.embeddings.forward(pass, words), b.layers)
	if b.norm != nil {
		out.Hidden = kernel.Replace(out.Hidden, b.norm.Forward(out.Hidden, nil, out.Deltas(pass.Batch.Dropout)))
	}
	return out
}

// block is self-attention, in a decoder attention to the encoder's rows, and a feed-forward
// network.
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
		x = self(x, in)
		if cross != nil {
			x = kernel.Replace(x, cross(x, in))
		}
		return kernel.Replace(x, feedForward(x, in))
	}
}

// residual is the way around a part of a block, with its norm and its dropout.
type residual struct {
	norm    *layer.Norm
	first   bool // the part reads the norm; else what it adds is normalised
	allRows bool // the part reads all rows, not those alone that are wanted
	dropout float32
}

func newResidual(c config, w *layer.Weights, norm string) residual {
	return residual{norm: w.Norm(norm, c.Hidden, normEps), first: c.normFirst, dropout: c.dropout}
}

// prepare draws the mask of what a part returns.
func (r residual) prepare(dropout *layer.Dropout, part stack.Forward) stack.Forward {
	mask := dropout.Mask(r.dropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		read, deltas := x, in.Wanted
		if r.allRows {
			deltas = in.Deltas
		}
		if r.first {
			read = r.norm.Forward(x, nil, deltas)
		}
		y := part(read, in)
		if r.first {
			kernel.Release(read)
		}
		y = kernel.Replace(y, kernel.Dropout(y, mask))
		kept := x
		if kernel.Rows(y) != kernel.Rows(x) {
			kept = in.Keep(x)
			defer kernel.Release(kept)
		}
		if r.first {
			return kernel.Replace(y, kernel.Add(kept, y))
		}
		return kernel.Replace(y, r.norm.Forward(y, kept, in.Wanted))
	}
}

// selfAttention attends to the rows of the same stack.
type selfAttention struct {
	residual
	qkv     *layer.Linear
	output  *layer.Linear
	options kernel.AttentionOptions
	drop    float32 // of probabilities
}

func newSelfAttention(c config, w *layer.Weights, heads int, causal bool) *selfAttention {
	d, own := c.Hidden, w.At("self_attn")
	a := &selfAttention{
		residual: newResidual(c, w, "self_attn_layer_norm"),
		qkv:      own.Stacked(d, d, "q_proj", "k_proj", "v_proj"),
		output:   own.Linear("out_proj", d, d),
		options:  kernel.AttentionOptions{Heads: heads, Causal: causal},
		drop:     c.attentionDropout,
	}
	a.allRows = true
	return a
}

func (a *selfAttention) prepare(dropout *layer.Dropout) stack.Forward {
	options := a.options
	options.Drop = dropout.Mask(a.drop)
	return a.residual.prepare(dropout, func(x mat.Tensor, in stack.Input) mat.Tensor {
		x = a.qkv.Forward(x, in.Deltas) // [R, 3·H·k]
		in.Store(x)
		x = kernel.Replace(x, kernel.Attention(x, in.Spans, in.Past, options)) // [R, H·k]
		x = kernel.Replace(x, in.Keep(x))
		return kernel.Replace(x, a.output.Forward(x, in.Wanted)) // [R, d]
	})
}

// crossAttention attends to the encoder's rows.
type crossAttention struct {
	residual
	queries *layer.Linear
	kv      *layer.Linear // of the encoder's rows
	output  *layer.Linear
	options kernel.AttentionOptions
	drop    float32 // of probabilities
}

func newCrossAttention(c config, w *layer.Weights) *crossAttention {
	d, own := c.Hidden, w.At("encoder_attn")
	return &crossAttention{
		residual: newResidual(c, w, "encoder_attn_layer_norm"),
		queries:  own.Linear("q_proj", d, d),
		kv:       own.Stacked(d, d, "k_proj", "v_proj"),
		output:   own.Linear("out_proj", d, d),
		options:  kernel.AttentionOptions{Heads: c.DecoderHeads},
		drop:     c.attentionDropout,
	}
}

func (a *crossAttention) prepare(dropout *layer.Dropout) stack.Forward {
	options := a.options
	options.Drop = dropout.Mask(a.drop)
	return a.residual.prepare(dropout, func(x mat.Tensor, in stack.Input) mat.Tensor {
		x = a.queries.Forward(x, in.Wanted) // [R, H·k]
		x = kernel.Replace(x, a.attend(x, in, options))
		return kernel.Replace(x, a.output.Forward(x, in.Wanted)) // [R, d]
	})
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

// feedForward is two linear layers with an activation between them.
type feedForward struct {
	residual
	inner, output *layer.Linear
	activation    layer.Activation
	drop          float32 // between the layers
}

func newFeedForward(c config, w *layer.Weights, intermediate int) *feedForward {
	return &feedForward{
		residual:   newResidual(c, w, "final_layer_norm"),
		inner:      w.Linear("fc1", intermediate, c.Hidden),
		output:     w.Linear("fc2", c.Hidden, intermediate),
		activation: c.activation,
		drop:       c.activationDropout,
	}
}

func (f *feedForward) prepare(dropout *layer.Dropout) stack.Forward {
	mask := dropout.Mask(f.drop)
	return f.residual.prepare(dropout, func(x mat.Tensor, in stack.Input) mat.Tensor {
		x = f.inner.Forward(x, in.Wanted)
		x = kernel.Replace(x, f.activation(x)) // [R, intermediate]
		x = kernel.Replace(x, kernel.Dropout(x, mask))
		return kernel.Replace(x, f.output.Forward(x, in.Wanted)) // [R, d]
	})
}
