// Package modernbert is ModernBERT (Warner et al. 2024, arXiv 2412.13663), model_type
// modernbert, as transformers computes it: norms before the attention and the gated
// network, rotary positions, and layers that see all tokens or those nearby. Start at
// [Architecture], through models/auto.
package modernbert

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

// Architecture is ModernBERT's entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix: "model.",
	Tasks:  encoder.Tasks("ModernBert"),
	New:    models.NewBackbone(New),
}

// Model is the encoder without head.
type Model struct {
	nn.Module
	config    config
	words     *layer.Embedding
	norm      *layer.Norm // of the embeddings
	layers    []*encoderLayer
	finalNorm *layer.Norm
}

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &Model{
		config:    c,
		words:     w.Embedding("embeddings.tok_embeddings", c.Vocab, c.Hidden),
		norm:      c.norm(w, "embeddings.norm"),
		finalNorm: c.norm(w, "final_norm"),
	}
	for i := range c.Layers {
		m.layers = append(m.layers, newEncoderLayer(c, w.At("layers", i), i))
	}
	return m, nil
}

// Shape returns the model's sizes.
func (m *Model) Shape() models.Shape { return m.config.Shape }

// Embed returns the word embeddings of ids, [len(ids), d], before their norm.
func (m *Model) Embed(ids []int) (mat.Tensor, error) {
	return stack.Embed(m.config.Shape, m.words, ids)
}

// Forward returns the normalised hidden states of the last layer.
func (m *Model) Forward(batch models.Batch) (models.Output, error) {
	return stack.Read(m.config.Shape, batch, m.run)
}

func (m *Model) run(pass *stack.Pass) models.Output {
	out := pass.Run(m.embed(pass), m.turn(pass))
	out.Hidden = kernel.Replace(out.Hidden, m.finalNorm.Forward(out.Hidden, nil, out.Deltas(pass.Batch.Dropout)))
	return out
}

// embed returns what the first layer reads, [R, d].
func (m *Model) embed(pass *stack.Pass) mat.Tensor {
	x := pass.Words(m.words)
	x = kernel.Replace(x, m.norm.Forward(x, nil, pass.Deltas))
	return kernel.Replace(x, kernel.Dropout(x, pass.Batch.Dropout.Mask(m.config.embeddingDropout)))
}

// turn returns the layers with their rotations of the rows of a pass.
func (m *Model) turn(pass *stack.Pass) []stack.Layer {
	layers := make([]stack.Layer, len(m.layers))
	for i, l := range m.layers {
		layers[i] = turned{l, pass.Rotation(l.rope)}
	}
	return layers
}

// Cache returns the keys and values that each layer computes while it reads a sequence,
// [T, H·k]: the prefix that stands for these tokens.
func (m *Model) Cache(sequence models.Sequence) ([]models.KV, error) {
	begin := func(pass *stack.Pass) (mat.Tensor, []stack.Layer) { return m.embed(pass), m.turn(pass) }
	return stack.Cache(m.config.Shape, sequence, begin, func(l stack.Layer, x mat.Tensor) mat.Tensor { return l.(turned).qkv(x, nil) })
}

// encoderLayer is self-attention and a gated feed-forward network, each in a residual
// connection behind a norm.
type encoderLayer struct {
	heads, size int
	window      int // of the attention; 0: all tokens
	rope        *layer.Rope
	attnNorm    *layer.Norm // nil: none, in the first layer, whose rows are normalised already
	wqkv        *layer.Linear
	attnOut     *layer.Linear
	mlpNorm     *layer.Norm
	wi          *layer.Linear
	gated       layer.Activation
	mlpOut      *layer.Linear

	attentionDropout, mlpDropout float32
}

func newEncoderLayer(c config, w *layer.Weights, number int) *encoderLayer {
	l := &encoderLayer{
		heads: c.Heads, size: c.HeadDim,
		wqkv:             w.Beside(c.Hidden, c.attentionBias, layer.Part{Name: "attn.Wqkv", Out: 3 * c.Hidden}),
		attnOut:          w.Beside(c.Hidden, c.attentionBias, layer.Part{Name: "attn.Wo", Out: c.Hidden}),
		mlpNorm:          c.norm(w, "mlp_norm"),
		wi:               w.Beside(c.Hidden, c.mlpBias, layer.Part{Name: "mlp.Wi", Out: 2 * c.intermediate}),
		gated:            c.gated,
		mlpOut:           w.Beside(c.intermediate, c.mlpBias, layer.Part{Name: "mlp.Wo", Out: c.Hidden}),
		attentionDropout: c.attentionDropout,
		mlpDropout:       c.mlpDropout,
	}
	l.window, l.rope = c.kinds[number].window, c.kinds[number].rope
	if number > 0 {
		l.attnNorm = c.norm(w, "attn_norm")
	}
	return l
}

// turned is a layer with its rotation of the rows of a pass.
type turned struct {
	*encoderLayer
	rotation *kernel.Rotation
}

// qkv returns the queries, keys and values of x [R, d], turned: [R, 3·H·k].
func (l turned) qkv(x mat.Tensor, deltas *layer.Deltas) mat.Tensor {
	normal := x
	if l.attnNorm != nil {
		normal = l.attnNorm.Forward(x, nil, deltas)
	}
	qkv := l.wqkv.Forward(normal, deltas)
	if l.attnNorm != nil {
		kernel.Release(normal)
	}
	return kernel.Replace(qkv, kernel.Rotary(qkv, l.rotation, 2*l.heads, l.size))
}

// Prepare returns the layer's pass, [R, d] to [R, d].
func (l turned) Prepare(dropout *layer.Dropout) stack.Forward {
	attentionMask, outputMask, mlpMask := dropout.Mask(l.attentionDropout), dropout.Mask(l.attentionDropout), dropout.Mask(l.mlpDropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		qkv := l.qkv(x, in.Deltas)
		options := kernel.AttentionOptions{Heads: l.heads, Window: l.window, Drop: attentionMask}
		a := kernel.Replace(qkv, kernel.Attention(qkv, in.Spans, in.Past, options)) // [R, H·k]
		a, x = kernel.Replace(a, in.Keep(a)), in.Keep(x)
		a = kernel.Replace(a, l.attnOut.Forward(a, in.Wanted)) // [R, d]
		a = kernel.Replace(a, kernel.Dropout(a, outputMask))
		x = kernel.Add(x, a)
		kernel.Release(a)
		f := l.mlpNorm.Forward(x, nil, in.Wanted)
		f = kernel.Replace(f, l.wi.Forward(f, in.Wanted)) // [R, 2·intermediate]
		f = kernel.Replace(f, l.gated(f))
		f = kernel.Replace(f, kernel.Dropout(f, mlpMask))
		f = kernel.Replace(f, l.mlpOut.Forward(f, in.Wanted)) // [R, d]
		y := kernel.Add(x, f)
		kernel.Release(f)
		kernel.Release(x)
		return y
	}
}
