package models

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models/layer"
)

// Model is a base model with the head of a task.
type Model struct {
	Config      hfio.ModelConfig
	Task        Task
	Backbone    Backbone
	Head        Head       // nil: the hidden states are the answer
	Labels      []string   // names of the scores of a classifier
	ProblemType string     // of SEQ_CLS; "": by the labels
	NewHead     bool       // the head was not in the checkpoint
	DType       hfio.DType // what the frozen weights are multiplied in: F32 or BF16
	// Linears are the frozen linear layers that an adapter can add to, and Prefix is what
	// stands before their names in transformers' model of the task.
	Linears []layer.LinearModule
	Prefix  string
	// Biases are the frozen layers whose bias an adapter can replace.
	Biases []layer.Module
	// Tensors are what the model was read from, without what Head.Params holds, under the
	// names that transformers saves them by.
	Tensors []hfio.Tensor
	// Params are all weights, in the order of the model, where they are trained; nil: the
	// backbone is frozen.
	Params []NamedParam
}

// Forward runs a batch without an adapter (unless its sequences bring prompts) and
// returns the head's scores, nil where there is no head. The hidden states are those that
// the head reads.
func (m *Model) Forward(batch Batch) (logits mat.Tensor, out Output, err error) {
	defer Guard(&err)
	if m.Params != nil && PromptsOf(batch) != nil {
		return nil, out, fmt.Errorf("%w: it adds to layers that are trained themselves", ErrPrompt)
	}
	out, err = m.Backbone.Forward(batch.For(m.Head))
	if err != nil || m.Head == nil {
		return nil, out, err
	}
	logits, err = m.Head.Forward(out, batch.Dropout)
	return logits, out, err
}

// Path is a layer's path in transformers' model of the task.
func (m *Model) Path(l layer.Module) string {
	if l.Outside {
		return l.Name
	}
	return m.Prefix + l.Name
}
