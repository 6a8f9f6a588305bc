package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// Checkpoint returns f(x, past), a layer of a model, and keeps nothing for its gradient but
// x and the pasts: f runs without a graph, and once more with one in the backward pass
// (Chen et al. 2016, arXiv 1604.06174; gradient_checkpointing in transformers). Values and
// gradients are the same bits as those of f.
//
// f must give the same bits each time, so it draws no dropout masks, and must make its
// result of its arguments and of what is frozen alone. past is nil or as [Attention] takes it.
func Checkpoint(x mat.Tensor, past []Past, f func(x mat.Tensor, past []Past) mat.Tensor) mat.Tensor {
	o := &checkpoint{x: x, past: past, f: f}
	o.distinct.add(x)
	for _, p := range past {
		if p.Keys != nil && p.Values != nil {
			o.distinct.add(p.Keys)
			o.distinct.add(p.Values)
		}
	}
	return run(o)
}

type checkpoint struct {
	x        mat.Tensor
	past     []Past
	f        func(x mat.Tensor, past []Past) mat.Tensor
	distinct operandSet
}

func (o *checkpoint) operands() []mat.Tensor { return o.distinct }

func (o *checkpoint) forward(m *memory) *Tensor {
	for _, x := range o.distinct {
		m.keep(x)
	}
	return o.run(o.leaves(m, false)).Value().(*Tensor)
}

func (o *checkpoint) backward(m *memory, gradient []float32) {
	leaves := o.leaves(m, true)
	y := o.run(leaves)
	y.AccGrad(New(Rows(y), Cols(y), gradient))
	if err := ag.Backward(y); err != nil {
		panic("kernel: Checkpoint: " + err.Error()) // there is an output gradient
	}
	for i, x := range o.distinct {
		if x.RequiresGrad() {
			m.accumulate(x, leaves[i].takeGradient(m))
		}
	}
}

// leaves returns the operands without the graph that they come from.
func (o *checkpoint) leaves(m *memory, tracked bool) []*Tensor {
	leaves := make([]*Tensor, len(o.distinct))
	for i, x := range o.distinct {
		leaves[i] = New(Rows(x), Cols(x), Data(x))
		leaves[i].pool = m.pool
		leaves[i].SetRequiresGrad(tracked && x.RequiresGrad())
	}
	return leaves
}

// run calls f with leaves in place of the operands.
func (o *checkpoint) run(leaves []*Tensor) mat.Tensor {
	leaf := func(x mat.Tensor) mat.Tensor { return leaves[o.distinct.add(x)] }
	past := slices.Clone(o.past)
	for i, p := range past {
		if p.Keys != nil && p.Values != nil {
			past[i] = Past{Keys: leaf(p.Keys), Values: leaf(p.Values)}
		}
	}
	return o.f(leaf(o.x), past)
}

// takeGradient returns the gradient of a leaf, zeros if it got none.
func (t *Tensor) takeGradient(m *memory) *Tensor {
	t.mu.Lock()
	defer t.mu.Unlock()
	gradient := t.gradient
	t.gradient, t.partial = nil, nil
	if gradient == nil {
		return m.zeros(Rows(t), Cols(t))
	}
	return gradient
}
