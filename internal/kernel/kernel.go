// Package kernel holds the operators that models, adapters and losses are made
// of: fused functions with their gradients, run on spago's graph. It is the only
// package that makes spago operators.
//
// A tensor is a matrix of float32, [rows, cols]. Rows are tokens: a batch is
// ragged, its sequences lie row under row without padding, and a [Span] says
// which rows belong to which. Leaves are made by [New] (frozen) and [NewParam]
// (trained); begin with [Linear] and [Attention] to see how an operator is used.
//
// Three promises hold for every operator:
//
//   - Mistaken shapes panic with a [*ShapeError] in the caller's goroutine,
//     before any work. [Guard] turns that panic into an error.
//   - Values and gradients are the same bits for every GOMAXPROCS: work is
//     divided over rows, heads or columns, and never inside a sum. A node that
//     carries a gradient may have two consumers (their gradients are added in
//     either order, which gives the same bits) but not three, because spago
//     adds gradients as they arrive. Chain or fuse instead; a prompt that
//     several sequences share is one operand of one operator.
//   - Nothing is computed or kept for the gradient of an operand that does not
//     require one. An operator none of whose operands requires a gradient
//     returns a plain [*Tensor], so that inference keeps no graph. Whether an
//     operand requires a gradient is settled when the operator is made.
//
// A graph serves one backward pass: spago keeps the gradients of inner nodes, so
// a second ag.Backward over the same graph would add to them.
//
// The package never reads files, knows no model and draws no random numbers:
// dropout is a function of a key.
package kernel

import (
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// operator is a function with a gradient. Forward gets tracked: whether a
// backward pass may follow, so that what it needs must be kept. Backward calls
// [accumulate] exactly once for every operand that requires a gradient: spago
// waits for it for ever otherwise. With the last call an operand's values may be
// given back, so backward reads no operand after it.
type operator interface {
	operands() []mat.Tensor
	forward(tracked bool) *Tensor
	backward(gradient []float32)
}

// keeper is an operator that keeps lent memory for its backward pass.
type keeper interface{ giveBack(pool *Pool) }

// function shows an operator to spago. Its methods never return an error,
// which spago would answer by ending the process.
type function struct {
	operator
	result *Tensor
}

func (f *function) Operands() []mat.Tensor { return f.operands() }

func (f *function) Forward() (mat.Tensor, error) {
	for _, x := range f.operands() {
		if own, ok := x.(*Tensor); ok {
			own.held = true
		}
	}
	f.result = f.forward(true)
	return f.result, nil
}

// Backward gives back what only this operator still needs: all that used its result
// have handed on their gradients.
func (f *function) Backward(gradient mat.Tensor) error {
	f.backward(Data(gradient))
	Release(gradient)
	if k, ok := f.operator.(keeper); ok {
		k.giveBack(f.result.pool)
	}
	f.result.release()
	return nil
}

// run computes the operator: as a node of the graph if an operand requires a
// gradient, else as a plain tensor.
func run(o operator) mat.Tensor {
	for _, x := range o.operands() {
		if x.RequiresGrad() {
			// Never Run(true): spago's asynchronous forward bounds its
			// goroutines by a global semaphore and hides panics from the caller.
			return ag.NewOperator(&function{operator: o}).Run()
		}
	}
	return o.forward(false)
}

// accumulate hands a gradient to an operand. The buffer belongs to the operand
// from then on: no other operand may get it, and the caller may not change it.
func accumulate(x mat.Tensor, gradient *Tensor) { x.AccGrad(gradient) }
