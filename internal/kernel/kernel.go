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
	"slices"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// operator is a function with a gradient. Forward keeps what the backward pass reads by
// memory.keep. Backward calls memory.accumulate exactly once for every operand that
// requires a gradient: spago waits for it for ever otherwise.
type operator interface {
	operands() []mat.Tensor
	forward(m *memory) *Tensor
	backward(m *memory, gradient []float32)
}

// function shows an operator to spago. Its methods never return an error,
// which spago would answer by ending the process.
type function struct {
	operator
	memory memory
	result *Tensor
}

func (f *function) Operands() []mat.Tensor { return f.operands() }

func (f *function) Forward() (mat.Tensor, error) {
	f.result = f.forward(&f.memory)
	f.memory.endPass()
	return f.result, nil
}

// Backward runs when all that was made of the result has run: nobody needs the result
// and its gradient after it.
func (f *function) Backward(gradient mat.Tensor) error {
	f.backward(&f.memory, Data(gradient))
	f.result.release()
	f.result.returnGradient()
	f.memory.endBackward()
	return nil
}

// run computes the operator: as a node of the graph if an operand requires a
// gradient, else as a plain tensor.
func run(o operator) mat.Tensor {
	operands := o.operands()
	m := memory{pool: poolOf(operands)}
	if slices.ContainsFunc(operands, mat.Tensor.RequiresGrad) {
		m.tracked = true
		// Never Run(true): spago's asynchronous forward bounds its
		// goroutines by a global semaphore and hides panics from the caller.
		return ag.NewOperator(&function{operator: o, memory: m}).Run()
	}
	y := o.forward(&m)
	m.endPass()
	return y
}
