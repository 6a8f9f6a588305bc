// Package stack is what models share between their word embeddings and their last hidden
// states: the rows of a ragged batch with its prompts ([Pass]), and the way through the
// layers ([Pass.Run]).
package stack

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Pass is a batch on its way through a model.
type Pass struct {
	Batch         models.Batch
	Spans         []models.Span // where the sequences lie
	FirstPosition []int         // of the first row of each sequence: a prefix is before it
	Deltas        *layer.Deltas // what adapters add to all rows
	prompts       []*models.Prompt
	caches        []*models.Cache // nil: the sequences are whole
	memory        *models.Output  // what a decoder attends to; nil: there is no encoder
	rotations     map[*layer.Rope]*kernel.Rotation
}

// Begin lays out a batch that the model has checked.
func Begin(batch models.Batch) (*Pass, error) {
	p := &Pass{Batch: batch, prompts: models.PromptsOf(batch)}
	if p.prompts != nil && batch.Checkpointing {
		return nil, fmt.Errorf("%w: it adds to layers, which Checkpointing does not compute again", models.ErrPrompt)
	}
	p.Spans, p.FirstPosition = models.Layout(batch)
	p.Deltas = models.DeltasOf(p.prompts, p.Spans, batch.Dropout)
	return p, nil
}

// behind lays out a batch that the model has to read behind caches, and checks both. When
// [Pass.Run] is over, the caches hold its rows.
func behind(shape models.Shape, batch models.Batch, caches []*models.Cache) (*Pass, error) {
	batch.Checkpointing = false
	batch, first, err := shape.Behind(batch, caches)
	if err != nil {
		return nil, err
	}
	p, err := Begin(batch)
	if err != nil {
		return nil, err
	}
	p.FirstPosition, p.caches = first, caches
	return p, nil
}

// Rotation returns the angles of all rows under a rotary embedding, nil for none. Layers that
// turn alike share one.
func (p *Pass) Rotation(rope *layer.Rope) *kernel.Rotation {
	if rope == nil {
		return nil
	}
	if p.rotations == nil {
		p.rotations = map[*layer.Rope]*kernel.Rotation{}
	}
	if p.rotations[rope] == nil {
		p.rotations[rope] = rope.Rotation(p.Positions(), models.KernelSpans(p.Spans))
	}
	return p.rotations[rope]
}

// Words returns the rows of the batch, [R, width]: the word embeddings of its tokens,
// and the prompts before them or among them.
func (p *Pass) Words(table *layer.Embedding) mat.Tensor {
	var ids []int
	tokens := make([]kernel.Span, len(p.Spans)) // where the sequences lie without prompts
	insertions := make([]kernel.Insertion, len(p.Spans))
	prompted := false
	for i, s := range p.Batch.Sequences {
		tokens[i] = kernel.Span{Start: len(ids), End: len(ids) + len(s.IDs)}
		ids = append(ids, s.IDs...)
		if s.Prompt != nil && s.Prompt.Input != nil {
			insertions[i], prompted = kernel.Insertion{Prompt: s.Prompt.Input, At: s.Virtual}, true
		}
	}
	x := kernel.Embed(p.Batch.Pool, table.Rows(ids)) // [ΣT, width]
	if prompted {
		x = kernel.Replace(x, kernel.InsertRows(x, tokens, insertions))
	}
	return x
}

// TypeIDs returns the token type of every row; a virtual token's is 0.
func (p *Pass) TypeIDs() []int {
	var types []int
	for i, s := range p.Batch.Sequences {
		types = append(types, make([]int, p.Spans[i].Prompt)...)
		if s.TypeIDs == nil {
			types = append(types, make([]int, len(s.IDs))...)
		} else {
			types = append(types, s.TypeIDs...)
		}
	}
	return types
}

// Positions returns the position of every row.
func (p *Pass) Positions() []int {
	var positions []int
	for i, span := range p.Spans {
		for row := range span.End - span.Start {
			positions = append(positions, p.FirstPosition[i]+row)
		}
	}
	return positions
}
