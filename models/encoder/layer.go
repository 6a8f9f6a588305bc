package encoder

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Layer is self-attention and a feed-forward network, each followed by a residual
// connection and LayerNorm.
type Layer struct {
	heads            int
	qkv              *layer.Linear // queries, keys and values beside each other
	attentionOutput  *layer.Linear
	attentionNorm    *layer.Norm
	intermediate     *layer.Linear
	activation       layer.Activation
	output           *layer.Linear
	outputNorm       *layer.Norm
	attentionDropout float32
	// Of the output of the attention and of the network; NewLayer sets both to the
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
	d, eps := c.Hidden, c.NormEps
	return &Layer{
		heads:            c.Heads,
		qkv:              w.Stacked(d, d, names.Query, names.Key, names.Value),
		attentionOutput:  w.Linear(names.AttentionOutput, d, d),
		attentionNorm:    w.Norm(names.AttentionNorm, d, eps),
		intermediate:     w.Linear(names.Intermediate, c.Intermediate, d),
		activation:       c.Activation,
		output:           w.Linear(names.Output, d, c.Intermediate),
		outputNorm:       w.Norm(names.OutputNorm, d, eps),
		attentionDropout: c.AttentionDropout,

		AttentionOutputDropout: c.HiddenDropout,
		OutputDropout:          c.HiddenDropout,
	}
}

// Prepare returns the layer's pass, [R, d] to [R, d].
func (l *Layer) Prepare(dropout *layer.Dropout) stack.Forward {
	attentionMask := dropout.Mask(l.attentionDropout)
	attentionOutputMask, outputMask := dropout.Mask(l.AttentionOutputDropout), dropout.Mask(l.OutputDropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		qkv := l.qkv.Forward(x, in.Deltas) // [R, 3·H·k]
		options := kernel.AttentionOptions{Heads: l.heads, Drop: attentionMask}
		a := kernel.Replace(qkv, kernel.Attention(qkv, in.Spans, in.Past, options)) // [R, H·k]
		a, x = kernel.Replace(a, in.Keep(a)), in.Keep(x)
		a = kernel.Replace(a, l.attentionOutput.Forward(a, in.Wanted)) // [R, d]
		a = kernel.Replace(a, kernel.Dropout(a, attentionOutputMask))
		x = l.attentionNorm.Forward(a, x)
		kernel.Release(a)
		f := l.intermediate.Forward(x, in.Wanted) // [R, intermediate]
		f = kernel.Replace(f, l.activation(f))
		f = kernel.Replace(f, l.output.Forward(f, in.Wanted)) // [R, d]
		f = kernel.Replace(f, kernel.Dropout(f, outputMask))
		y := l.outputNorm.Forward(f, x)
		kernel.Release(f)
		kernel.Release(x)
		return y
	}
}

// cache returns the keys and values that the layer computes of x, [R, H·k].
func (l *Layer) cache(x mat.Tensor) models.KV {
	qkv := l.qkv.Forward(x, nil)
	width := kernel.Cols(qkv) / 3
	return models.KV{Keys: kernel.Columns(qkv, width, 2*width), Values: kernel.Columns(qkv, 2*width, 3*width)}
}
