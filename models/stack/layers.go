package stack

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Layer is one of a model's layers.
type Layer interface {
	// Prepare draws the dropout masks of a pass, and returns what computes the layer with
	// them. That may run twice: checkpointing computes it again in the backward pass.
	Prepare(*layer.Dropout) Forward
}

// Forward returns a layer's result for x [R, d], or, of a model's last layer, only some
// rows of it. All rows are attended to.
type Forward func(x mat.Tensor, in Input) mat.Tensor

// Input is what a layer gets beside its rows.
type Input struct {
	Spans []kernel.Span
	Past  []kernel.Past // what the sequences have before their rows; nil: nothing
	Only  []int         // the rows that are wanted of the layer; nil: all
	// WantedSpans are Spans without the rows that are not wanted.
	WantedSpans []kernel.Span
	// Deltas are what adapters add to all rows, and Wanted to those of Only.
	Deltas, Wanted *layer.Deltas
	Memory         Memory // of a decoder that has an encoder

	layer int
	pass  *Pass
}

// Memory is what the layers of a decoder attend to beside their own rows.
type Memory struct {
	Rows   mat.Tensor // the encoder's, [S, d]
	Spans  []kernel.Span
	Deltas *layer.Deltas // what adapters add to them
	// Past are the keys and values of these rows, in place of them: of a step.
	Past []kernel.Past
}

// Attends is a decoder's layer that attends to its encoder's rows.
type Attends interface {
	Layer
	// KeysAndValues returns those of the encoder's rows, [S, 2·H·k].
	KeysAndValues(Memory) mat.Tensor
}

// Keep leaves the rows that are wanted of x.
func (in Input) Keep(x mat.Tensor) mat.Tensor {
	if in.Only == nil {
		return x
	}
	return kernel.Gather(x, in.Only)
}

// Store puts the keys and values of all rows into the caches of a step: the last columns of
// qkv [R, (H+2·G)·k], laid out as for [kernel.Attention] and as they are attended to.
func (in Input) Store(qkv mat.Tensor) {
	for i, c := range in.pass.caches {
		c.Put(in.layer, in.pass.FirstPosition[i], qkv, in.Spans[i])
	}
}

// Run puts x [R, d] through the layers. The last one leaves out rows that nobody reads.
func (p *Pass) Run(x mat.Tensor, layers []Layer) models.Output {
	spans := p.Spans
	all := Input{Spans: models.KernelSpans(spans), Deltas: p.Deltas, Wanted: p.Deltas, Memory: p.memoryInput(), pass: p}
	all.WantedSpans = all.Spans
	for i, l := range layers {
		forward, in := l.Prepare(p.Batch.Dropout), all
		in.Past, in.layer, in.Memory.Past = p.past(i), i, p.cross(i)
		if p.memory != nil && i < len(layers)-1 {
			all.Memory.Rows = kernel.Tee(all.Memory.Rows) // of the next layer
		}
		if i == len(layers)-1 {
			if in.Only, spans = models.Wanted(p.Batch, spans); in.Only != nil {
				in.Wanted, in.WantedSpans = models.DeltasOf(p.prompts, spans, p.Batch.Dropout), models.KernelSpans(spans)
			}
		}
		if p.Batch.Checkpointing {
			x = kernel.Replace(x, checkpointed(x, in, forward))
		} else {
			x = kernel.Replace(x, forward(x, in))
		}
	}
	if p.memory != nil {
		kernel.Release(p.memory.Hidden)
	}
	for i, c := range p.caches {
		c.Advance(p.FirstPosition[i] + all.Spans[i].Len())
	}
	return models.Output{Hidden: x, Spans: spans, Prompts: p.prompts}
}

// memoryInput is what the layers get of the memory, if there is one.
func (p *Pass) memoryInput() Memory {
	if p.memory == nil {
		return Memory{}
	}
	deltas := models.DeltasOf(p.prompts, p.memory.Spans, p.Batch.Dropout)
	return Memory{Rows: p.memory.Hidden, Spans: models.KernelSpans(p.memory.Spans), Deltas: deltas}
}

// checkpointed hands the memory's rows to the layer as one more past: they too are not made
// by the layer itself.
func checkpointed(x mat.Tensor, in Input, forward Forward) mat.Tensor {
	past, memory := in.Past, in.Memory.Rows != nil
	if memory {
		past = append(slices.Clone(past), kernel.Past{Keys: in.Memory.Rows, Values: in.Memory.Rows})
	}
	return kernel.Checkpoint(x, past, func(x mat.Tensor, past []kernel.Past) mat.Tensor {
		again := in
		if memory {
			last := len(past) - 1
			past, again.Memory.Rows = past[:last], past[last].Keys
		}
		if in.Past != nil {
			again.Past = past
		}
		return forward(x, again)
	})
}

// past returns what the sequences have before their rows in one layer; nil where there is
// nothing.
func (p *Pass) past(layer int) []kernel.Past {
	past := make([]kernel.Past, len(p.Batch.Sequences))
	any := false
	for i, s := range p.Batch.Sequences {
		switch {
		case p.caches != nil:
			past[i] = kernel.Past(p.caches[i].First(layer, p.FirstPosition[i]))
			any = any || p.FirstPosition[i] > 0
		case s.Prompt != nil && len(s.Prompt.Past) > 0:
			past[i] = kernel.Past(s.Prompt.Past[layer])
			any = true
		}
	}
	if !any {
		return nil
	}
	return past
}
