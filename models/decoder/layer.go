package decoder

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Layer is causal self-attention and a feed-forward network, each in a residual connection
// with a LayerNorm.
type Layer struct {
	AttentionNorm *layer.Norm
	QKV, Output   *layer.Linear
	MLPNorm       *layer.Norm
	Up, Down      *layer.Linear
	Activation    layer.Activation
	Heads         int
	HeadSize      int     // k
	Scale         float32 // of the scores; 0 means 1/√k
	// Together: QKV gives query, key and value of each head beside each other, [R, H·3·k],
	// not the queries of all heads, then the keys, then the values.
	Together bool
	Order    Order
	Dropout  Dropout
}

// Order says where the norms stand.
type Order int

const (
	// NormsFirst: y = x + attention(norm(x)), y + network(norm(y)).
	NormsFirst Order = iota
	// NormedResiduals: each sum takes norm(x) for x.
	NormedResiduals
	// NormsLast: y = norm(x + attention(x)), norm(y + network(y)).
	NormsLast
	// Parallel: x + attention(norm(x)) + network(norm(x)), of which each has its own norm.
	Parallel
)

// Dropout are the probabilities of a layer: of the attention's, and of what the attention
// and the network add.
type Dropout struct{ Attention, Output, MLP float32 }

// placed is a layer with what a pass gives it to know the places of rows.
type placed struct {
	*Layer
	rotation *kernel.Rotation     // nil: none
	bias     *kernel.RelativeBias // nil: none
}

// Prepare draws the masks of a pass.
func (l placed) Prepare(dropout *layer.Dropout) stack.Forward {
	m := masks{dropout.Mask(l.Dropout.Attention), dropout.Mask(l.Dropout.Output), dropout.Mask(l.Dropout.MLP)}
	return func(x mat.Tensor, in stack.Input) mat.Tensor { return l.forward(x, in, m) }
}

// masks are the dropout masks of one layer in one pass.
type masks struct{ attention, output, mlp kernel.Mask }

// forward returns the layer's result, [R, d], or only some rows of it. All rows are attended to.
func (l placed) forward(x mat.Tensor, in stack.Input, m masks) mat.Tensor {
	h := x
	if l.Order != NormsLast {
		h = l.AttentionNorm.Forward(x, nil, in.Deltas)
	}
	a := l.attention(h, in, m)
	residual := in.Keep(x)
	switch l.Order {
	case Parallel:
		return l.parallel(residual, a, in, m)
	case NormedResiduals:
		residual = in.Keep(h)
	case NormsLast:
		y := l.AttentionNorm.Forward(a, residual, in.Wanted)
		kernel.Release(a)
		f := l.network(y, in, m)
		return kernel.Replace(f, l.MLPNorm.Forward(f, y, in.Wanted))
	}
	y := kernel.Replace(a, kernel.Add(residual, a))
	h = l.MLPNorm.Forward(y, nil, in.Wanted)
	f := l.network(h, in, m)
	if l.Order == NormedResiduals {
		y = h
	}
	return kernel.Replace(f, kernel.Add(y, f))
}

// parallel returns the sum of x, of which only the rows that are wanted are there, of what
// the attention gives and of what the network makes of x.
func (l placed) parallel(x, attended mat.Tensor, in stack.Input, m masks) mat.Tensor {
	x = kernel.Tee(x)
	h := l.MLPNorm.Forward(x, nil, in.Wanted)
	f := kernel.Replace(h, l.network(h, in, m))
	f = kernel.Replace(f, kernel.Add(f, attended))
	return kernel.Replace(f, kernel.Add(f, x))
}

// attention returns [R, d] of x [R, d].
func (l placed) attention(x mat.Tensor, in stack.Input, m masks) mat.Tensor {
	qkv := l.QKV.Forward(x, in.Deltas)
	if l.Together {
		qkv = kernel.Replace(qkv, kernel.HeadsApart(qkv, l.Heads))
	}
	if l.rotation != nil {
		qkv = kernel.Replace(qkv, kernel.Rotary(qkv, l.rotation, 2*l.Heads, l.HeadSize))
	}
	in.Store(qkv)
	options := kernel.AttentionOptions{Heads: l.Heads, Causal: true, Scale: l.Scale, Bias: l.bias, Drop: m.attention}
	a := kernel.Replace(qkv, kernel.Attention(qkv, in.Spans, in.Past, options)) // [R, H·k]
	a = kernel.Replace(a, in.Keep(a))
	a = kernel.Replace(a, l.Output.Forward(a, in.Wanted)) // [R, d]
	return kernel.Replace(a, kernel.Dropout(a, m.output))
}

// network returns [R, d] of x [R, d].
func (l placed) network(x mat.Tensor, in stack.Input, m masks) mat.Tensor {
	f := l.Up.Forward(x, in.Wanted) // [R, intermediate]
	f = kernel.Replace(f, l.Activation(f))
	f = kernel.Replace(f, l.Down.Forward(f, in.Wanted)) // [R, d]
	return kernel.Replace(f, kernel.Dropout(f, m.mlp))
}
