package deberta

import (
	"math"
	"sync"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

var names = encoder.Names{
	Query: "attention.self.query_proj", Key: "attention.self.key_proj", Value: "attention.self.value_proj",
	AttentionOutput: "attention.output.dense", AttentionNorm: "attention.output.LayerNorm",
	Intermediate: "intermediate.dense", Output: "output.dense", OutputNorm: "output.LayerNorm",
}

// encoderLayer is disentangled self-attention and a feed-forward network, each followed by a
// residual connection and LayerNorm.
// Source: transformers 5.23, modeling_deberta.py and modeling_deberta_v2.py,
// DisentangledSelfAttention.
type encoderLayer struct {
	encoder.Block
	heads int
	scale float32
	// projection makes queries, keys and values beside each other, of the first version those
	// of each head, to which bias is added when the heads are apart, [3·H·k].
	projection *layer.Linear
	bias       []float32
	// keys and queries are those of relative positions: their linears, or columns of what
	// projection makes.
	keys, queries term
	all           *all
	convolution   *convolution // nil: none

	attentionDropout, positionDropout float32
}

// term makes the keys or the queries of relative positions.
type term struct {
	wanted bool
	own    *layer.Linear // nil: the tokens'
}

// all are the queries and keys of all relative positions, where neither dropout nor an adapter
// changes them: they are made once.
type all struct {
	once          sync.Once
	queries, keys mat.Tensor
}

func newEncoderLayer(c config, w *layer.Weights) *encoderLayer {
	l := &encoderLayer{
		heads:            c.Heads,
		scale:            float32(1 / math.Sqrt(float64(c.HeadDim*c.terms))),
		keys:             term{wanted: c.contentToPosition},
		queries:          term{wanted: c.positionToContent},
		all:              &all{},
		attentionDropout: c.AttentionDropout,
		positionDropout:  c.HiddenDropout,
	}
	d, self := c.Hidden, w.At("attention", "self")
	if c.first {
		l.projection = self.Beside(d, false, layer.Part{Name: "in_proj", Out: 3 * d})
		l.bias = append(append(l.bias, self.Values("q_bias", d)...), make([]float32, d)...)
		l.bias = append(l.bias, self.Values("v_bias", d)...)
	} else {
		l.projection = w.Stacked(d, d, names.Query, names.Key, names.Value)
	}
	if l.keys.wanted && !c.shared {
		name := map[bool]string{true: "pos_proj", false: "pos_key_proj"}[c.first]
		l.keys.own = self.Beside(d, !c.first, layer.Part{Name: name, Out: d})
	}
	if l.queries.wanted && !c.shared {
		name := map[bool]string{true: "pos_q_proj", false: "pos_query_proj"}[c.first]
		l.queries.own = self.Linear(name, d, d)
	}
	l.Block = encoder.NewBlock(c.Config, w, names)
	return l
}

// qkv returns the queries, keys and values of x [R, d]: [R, 3·H·k].
func (l *encoderLayer) qkv(x mat.Tensor, deltas *layer.Deltas) mat.Tensor {
	qkv := l.projection.Forward(x, deltas)
	if l.bias == nil {
		return qkv
	}
	qkv = kernel.Replace(qkv, kernel.HeadsApart(qkv, l.heads))
	bias := kernel.Lookup{Table: kernel.Values{Float32: l.bias}, Width: len(l.bias), Index: make([]int, kernel.Rows(qkv))}
	return kernel.Replace(qkv, kernel.AddEmbed(qkv, bias))
}

// placed is a layer with the relative positions of the rows of a pass, nil for none.
type placed struct {
	*encoderLayer
	positions *positions
}

// Prepare returns the layer's pass, [R, d] to [R, d].
func (l placed) Prepare(dropout *layer.Dropout) stack.Forward {
	attentionMask, positionMask := dropout.Mask(l.attentionDropout), dropout.Mask(l.positionDropout)
	forward := l.Behind(dropout, func(x mat.Tensor, in stack.Input) mat.Tensor {
		qkv, near := l.qkv(x, in.Deltas), l.near(positionMask)
		options := kernel.AttentionOptions{Heads: l.heads, Scale: l.scale, Drop: attentionMask, Positions: near}
		a := kernel.Replace(qkv, kernel.Attention(qkv, in.Spans, in.Past, options)) // [R, H·k]
		if near != nil {
			releaseAll(near.Keys, near.Queries)
		}
		return a
	})
	if l.convolution != nil {
		return l.convolution.behind(dropout, forward)
	}
	return forward
}

// near returns the keys and queries of the positions, [m, H·k] each, for the attention.
func (l placed) near(mask kernel.Mask) *kernel.RelativePositions {
	p := l.positions
	if p == nil {
		return nil
	}
	near := p.table
	if mask.P == 0 && p.deltas == nil {
		l.all.once.Do(func() { l.all.queries, l.all.keys = l.project(p.all, nil) })
		near.Queries, near.Keys = p.look(l.all.queries), p.look(l.all.keys)
		return &near
	}
	rows := p.look(p.all)
	x := kernel.Replace(rows, kernel.Dropout(rows, mask))
	near.Queries, near.Keys = l.project(x, p.deltas)
	kernel.Release(x)
	return &near
}

// project returns the queries and the keys of relative positions x [m, d], each [m, H·k] or nil.
func (l *encoderLayer) project(x mat.Tensor, deltas *layer.Deltas) (queries, keys mat.Tensor) {
	var both mat.Tensor // and values that nobody wants
	if l.keys.own == nil && l.queries.own == nil {
		both = l.projection.Forward(x, deltas)
	}
	width := kernel.Cols(x)
	queries, keys = l.queries.of(x, both, 0, width, deltas), l.keys.of(x, both, width, 2*width, deltas)
	releaseAll(both)
	return queries, keys
}

// of returns the term of x, or the columns [from, to) of both.
func (t term) of(x, both mat.Tensor, from, to int, deltas *layer.Deltas) mat.Tensor {
	switch {
	case !t.wanted:
		return nil
	case t.own != nil:
		return t.own.Forward(x, deltas)
	}
	return kernel.Columns(both, from, to)
}

func releaseAll(tensors ...mat.Tensor) {
	for _, t := range tensors {
		if t != nil {
			kernel.Release(t)
		}
	}
}
