package stack

import (
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
	// Deltas are what adapters add to all rows, and Wanted to those of Only.
	Deltas, Wanted *layer.Deltas

	layer int
	pass  *Pass
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
	all := Input{Spans: models.KernelSpans(spans), Deltas: p.Deltas, Wanted: p.Deltas, pass: p}
	for i, l := range layers {
		forward, in := l.Prepare(p.Batch.Dropout), all
		in.Past, in.layer = p.past(i), i
		if i == len(layers)-1 {
			if in.Only, spans = models.Wanted(p.Batch, spans); in.Only != nil {
				in.Wanted = models.DeltasOf(p.prompts, spans, p.Batch.Dropout)
			}
		}
		if p.Batch.Checkpointing {
			x = kernel.Replace(x, checkpointed(x, in, forward))
		} else {
			x = kernel.Replace(x, forward(x, in))
		}
	}
	for i, c := range p.caches {
		c.Advance(p.FirstPosition[i] + all.Spans[i].Len())
	}
	return models.Output{Hidden: x, Spans: spans, Prompts: p.prompts}
}

func checkpointed(x mat.Tensor, in Input, forward Forward) mat.Tensor {
	return kernel.Checkpoint(x, in.Past, func(x mat.Tensor, past []kernel.Past) mat.Tensor {
		again := in
		again.Past = past
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
