// Package llama is Llama (Touvron et al. 2023, arXiv 2302.13971) and the decoders that differ
// from it in a few places: Mistral, Qwen2 and Qwen3, Gemma 1 to 3, Phi-3, OLMo 2, SmolLM3. What
// a model_type has is read from its config and written down in families.go; here it is computed,
// as transformers does. Start at [Architecture], through models/auto.
//
// Letters in the comments, beside those of package models: G key heads.
package llama

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Model is the decoder without its head.
type Model struct {
	nn.Module
	config config
	words  *layer.Embedding
	layers []*decoderLayer
	norm   *layer.RMSNorm
}

var (
	_ models.Decoder        = (*Model)(nil)
	_ models.HeadedBackbone = (*Model)(nil)
)

// New reads the decoder of one of the families. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &Model{config: c, words: w.Embedding("embed_tokens", c.Vocab, c.Hidden)}
	m.words.Scale = c.embedScale
	for i := range c.Layers {
		m.layers = append(m.layers, newDecoderLayer(c, c.layers[i], w.At("layers", i)))
	}
	m.norm = c.newNorm(w, "norm", c.Hidden)
	return m, nil
}

// Shape returns the model's sizes.
func (m *Model) Shape() models.Shape { return m.config.Shape }

// Embed returns the word embeddings of ids, [len(ids), d]: of Gemma, times the root of d.
func (m *Model) Embed(ids []int) (mat.Tensor, error) {
	return stack.Embed(m.config.Shape, m.words, ids)
}

// Forward returns the last hidden states, normalised.
func (m *Model) Forward(batch models.Batch) (models.Output, error) {
	return stack.Read(m.config.Shape, batch, m.run)
}

// Step is Forward of what comes behind caches.
func (m *Model) Step(batch models.Batch, caches []*models.Cache) (models.Output, error) {
	return stack.Step(m.config.Shape, batch, caches, m.run)
}

func (m *Model) run(p *stack.Pass) models.Output {
	x := p.Words(m.words)
	x = kernel.Replace(x, kernel.Dropout(x, p.Batch.Dropout.Mask(m.config.embedDropout)))
	layers := make([]stack.Layer, len(m.layers))
	for i, l := range m.layers {
		layers[i] = turned{l, p.Rotation(l.rope)}
	}
	out := p.Run(x, layers)
	out.Hidden = kernel.Replace(out.Hidden, m.norm.Forward(out.Hidden))
	return out
}

// turned is a layer with the rotation of a pass; nil: none.
type turned struct {
	*decoderLayer
	rotation *kernel.Rotation
}

// decoderLayer is attention and a gated feed-forward network, each in a residual connection,
// with norms before them, after them or both.
type decoderLayer struct {
	layerConfig
	heads, keyHeads, size     int
	attentionIn, attentionOut *layer.RMSNorm // nil: none
	qkv                       *layer.Linear
	queryNorm, keyNorm        *layer.RMSNorm // nil: none
	output                    *layer.Linear
	mlpIn, mlpOut             *layer.RMSNorm // nil: none
	gateUp                    *layer.Linear
	activation                layer.Activation
	down                      *layer.Linear
	options                   kernel.AttentionOptions
	attentionDropout          float32
	residualDropout           float32
}

func newDecoderLayer(c config, own layerConfig, w *layer.Weights) *decoderLayer {
	d, k := c.Hidden, c.HeadDim
	l := &decoderLayer{
		layerConfig: own, heads: c.Heads, keyHeads: c.KVHeads, size: k,
		activation: c.activation, attentionDropout: c.attentionDropout, residualDropout: c.residualDropout,
		options: kernel.AttentionOptions{
			Heads: c.Heads, KeyHeads: c.KVHeads, Causal: true, Scale: c.scale, SoftCap: c.softCap, Window: own.window,
		},
	}
	attention, mlp := w.At("self_attn"), w.At("mlp")
	if c.fused {
		l.qkv = attention.Beside(d, c.qkvBias, layer.Part{Name: "qkv_proj", Out: (c.Heads + 2*c.KVHeads) * k})
		l.gateUp = mlp.Beside(d, c.mlpBias, layer.Part{Name: "gate_up_proj", Out: 2 * c.intermediate})
	} else {
		l.qkv = attention.Beside(
			d, c.qkvBias,
			layer.Part{Name: "q_proj", Out: c.Heads * k},
			layer.Part{Name: "k_proj", Out: c.KVHeads * k},
			layer.Part{Name: "v_proj", Out: c.KVHeads * k},
		)
		l.gateUp = mlp.Beside(
			d, c.mlpBias,
			layer.Part{Name: "gate_proj", Out: c.intermediate},
			layer.Part{Name: "up_proj", Out: c.intermediate},
		)
	}
	l.output = attention.Beside(c.Heads*k, c.outputBias, layer.Part{Name: "o_proj", Out: d})
	l.down = mlp.Beside(c.intermediate, c.mlpBias, layer.Part{Name: "down_proj", Out: d})
	switch c.qkNorm {
	case normOfHeads:
		l.queryNorm, l.keyNorm = c.newNorm(attention, "q_norm", k), c.newNorm(attention, "k_norm", k)
	case normOfAll:
		l.queryNorm, l.keyNorm = c.newNorm(attention, "q_norm", c.Heads*k), c.newNorm(attention, "k_norm", c.KVHeads*k)
	}
	l.attentionIn, l.attentionOut = c.optionalNorm(w, c.norms.attentionIn), c.optionalNorm(w, c.norms.attentionOut)
	l.mlpIn, l.mlpOut = c.optionalNorm(w, c.norms.mlpIn), c.optionalNorm(w, c.norms.mlpOut)
	return l
}

// Prepare draws the masks of a pass.
func (l turned) Prepare(dropout *layer.Dropout) stack.Forward {
	m := masks{attention: dropout.Mask(l.attentionDropout)}
	m.attentionOut = dropout.Mask(l.residualDropout)
	m.mlpOut = dropout.Mask(l.residualDropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor { return l.forward(x, in, m) }
}

// masks are the dropout masks of one layer in one pass.
type masks struct{ attention, attentionOut, mlpOut kernel.Mask }

// forward returns the layer's result, [R, d], or only some rows of it. All rows are attended to.
func (l turned) forward(x mat.Tensor, in stack.Input, m masks) mat.Tensor {
	h := normalised(l.attentionIn, x)
	qkv := replaceOwn(h, x, l.qkv.Forward(h, in.Deltas)) // [R, (H+2·G)·k]
	if l.queryNorm != nil {
		qkv = kernel.Replace(qkv, layer.QKNorm(qkv, l.heads, l.keyHeads, l.queryNorm, l.keyNorm))
	}
	if l.rotation != nil {
		qkv = kernel.Replace(qkv, kernel.Rotary(qkv, l.rotation, l.heads+l.keyHeads, l.size))
	}
	in.Store(qkv)
	options := l.options
	options.Drop = m.attention
	a := kernel.Replace(qkv, kernel.Attention(qkv, in.Spans, in.Past, options)) // [R, H·k]
	read := in.Keep(x)
	a = kernel.Replace(a, in.Keep(a))
	a = kernel.Replace(a, l.output.Forward(a, in.Wanted)) // [R, d]
	y := replaceOwn(read, x, add(read, a, l.attentionOut, m.attentionOut))
	h = normalised(l.mlpIn, y)
	f := replaceOwn(h, y, l.gateUp.Forward(h, in.Wanted)) // [R, 2·intermediate]
	f = kernel.Replace(f, l.activation(f))
	f = kernel.Replace(f, l.down.Forward(f, in.Wanted)) // [R, d]
	return kernel.Replace(y, add(y, f, l.mlpOut, m.mlpOut))
}

// add returns x plus what the norm, which may be nil, makes of y. y is released, x stays.
func add(x, y mat.Tensor, norm *layer.RMSNorm, mask kernel.Mask) mat.Tensor {
	if norm != nil {
		y = kernel.Replace(y, norm.Forward(y))
	}
	y = kernel.Replace(y, kernel.Dropout(y, mask))
	return kernel.Replace(y, kernel.Add(x, y))
}

// normalised returns what a norm makes of x, x itself if there is none.
func normalised(norm *layer.RMSNorm, x mat.Tensor) mat.Tensor {
	if norm == nil {
		return x
	}
	return norm.Forward(x)
}

// replaceOwn releases old unless it is x, and returns next.
func replaceOwn(old, x, next mat.Tensor) mat.Tensor {
	if old == x {
		return next
	}
	return kernel.Replace(old, next)
}
