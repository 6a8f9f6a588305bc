package encoder

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Layer is self-attention and a feed-forward network, each followed by a residual
// connection and LayerNorm.
type Layer struct {
	heads            int
	qkv              *layer.Linear // queries, keys and values beside each other
	attentionDropout float32
	Block
}

// Block is what a layer does with the result of its attention.
type Block struct {
	attentionOutput *layer.Linear
	attentionNorm   *layer.Norm
	intermediate    *layer.Linear
	activation      layer.Activation
	output          *layer.Linear
	outputNorm      *layer.Norm
	// Of the output of the attention and of the network; NewBlock sets both to the
	// config's hidden dropout.
	AttentionOutputDropout, OutputDropout float32
}

// Names are the paths of a layer's parts.
type Names struct {
	Query, Key, Value, AttentionOutput, AttentionNorm string
	Intermediate, Output, OutputNorm                  string
}

// BERTNames are the paths that most architectures have.
var BERTNames = Names{
	Query: "attention.self.query", Key: "attention.self.key", Value: "attention.self.value",
	AttentionOutput: "attention.output.dense", AttentionNorm: "attention.output.LayerNorm",
	Intermediate: "intermediate.dense", Output: "output.dense", OutputNorm: "output.LayerNorm",
}

// NewLayer reads a layer.
func NewLayer(c Config, w *layer.Weights, names Names) *Layer {
	return &Layer{
		heads:            c.Heads,
		qkv:              w.Stacked(c.Hidden, c.Hidden, names.Query, names.Key, names.Value),
		attentionDropout: c.AttentionDropout,
		Block:            NewBlock(c, w, names),
	}
}

// NewBlock reads the rest of a layer behind its attention.
func NewBlock(c Config, w *layer.Weights, names Names) Block {
	d, eps := c.Hidden, c.NormEps
	return Block{
		attentionOutput: w.Linear(names.AttentionOutput, d, d),
		attentionNorm:   w.Norm(names.AttentionNorm, d, eps),
		intermediate:    w.Linear(names.Intermediate, c.Intermediate, d),
		activation:      c.Activation,
		output:          w.Linear(names.Output, d, c.Intermediate),
		outputNorm:      w.Norm(names.OutputNorm, d, eps),

		AttentionOutputDropout: c.HiddenDropout,
		OutputDropout:          c.HiddenDropout,
	}
}

// Prepare returns the layer's pass, [R, d] to [R, d].
func (l *Layer) Prepare(dropout *layer.Dropout) stack.Forward {
	attentionMask := dropout.Mask(l.attentionDropout)
	return l.Behind(dropout, func(x mat.Tensor, in stack.Input) mat.Tensor {
		qkv := l.qkv.Forward(x, in.Deltas) // [R, 3·H·k]
		options := kernel.AttentionOptions{Heads: l.heads, Drop: attentionMask}
		return kernel.Replace(qkv, kernel.Attention(qkv, in.Spans, in.Past, options)) // [R, H·k]
	})
}

// Behind returns the pass of a layer, [R, d] to [R, d], whose attention is attend, [R, d] to
// [R, H·k].
func (b *Block) Behind(dropout *layer.Dropout, attend stack.Forward) stack.Forward {
	attentionOutputMask, outputMask := dropout.Mask(b.AttentionOutputDropout), dropout.Mask(b.OutputDropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		a := attend(x, in)
		a, x = kernel.Replace(a, in.Keep(a)), in.Keep(x)
		a = kernel.Replace(a, b.attentionOutput.Forward(a, in.Wanted)) // [R, d]
		a = kernel.Replace(a, kernel.Dropout(a, attentionOutputMask))
		x = b.attentionNorm.Forward(a, x, in.Wanted)
		kernel.Release(a)
		f := b.intermediate.Forward(x, in.Wanted) // [R, intermediate]
		f = kernel.Replace(f, b.activation(f))
		f = kernel.Replace(f, b.output.Forward(f, in.Wanted)) // [R, d]
		f = kernel.Replace(f, kernel.Dropout(f, outputMask))
		y := b.outputNorm.Forward(f, x, in.Wanted)
		kernel.Release(f)
		kernel.Release(x)
		return y
	}
}
