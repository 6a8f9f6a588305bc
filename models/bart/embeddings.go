package bart

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// embeddings are the sum of word and position embeddings, in some families normalised.
type embeddings struct {
	scale     float32
	scaleRows bool
	decoder   bool
	positions *layer.Embedding // [offset+positions, d]
	offset    int              // the row of position 0
	norm      *layer.Norm      // nil: none
	dropout   float32
}

func newEmbeddings(c config, w *layer.Weights, decoder bool) *embeddings {
	e := &embeddings{scale: c.scale, scaleRows: c.scaleRows, decoder: decoder, dropout: c.dropout}
	const name = "embed_positions"
	switch {
	case !c.sinusoidal:
		e.offset = 2 // once those of padding
		e.positions = w.Embedding(name, e.offset+c.MaxPositions, c.Hidden)
	case w.Has(name + ".weight"):
		e.positions = w.Embedding(name, c.MaxPositions, c.Hidden)
	default:
		e.positions = &layer.Embedding{Table: kernel.Values{Float32: sinusoids(c.MaxPositions, c.Hidden)}, Width: c.Hidden}
	}
	if c.embeddingNorm {
		e.norm = w.Norm("layernorm_embedding", c.Hidden, normEps)
	}
	return e
}

// sinusoids are position embeddings [positions, d]: sines in the first half of a row, cosines
// in the second.
// Source: transformers 5.23, modeling_pegasus.py, PegasusSinusoidalPositionalEmbedding.
func sinusoids(positions, d int) []float32 {
	table := make([]float32, positions*d)
	for p := range positions {
		row := table[p*d:][:d]
		for j := range d {
			angle := float64(p) / math.Pow(10000, float64(2*(j/2))/float64(d))
			if j%2 == 0 {
				row[j/2] = float32(math.Sin(angle))
			} else {
				row[(d+1)/2+j/2] = float32(math.Cos(angle))
			}
		}
	}
	return table
}

func (e *embeddings) forward(p *stack.Pass, words *layer.Embedding) mat.Tensor {
	x := e.scaled(p, words) // [R, d]
	index := p.Positions()
	for i := range index {
		index[i] += e.offset
	}
	x = kernel.Replace(x, kernel.AddEmbed(x, e.positions.Rows(index)))
	if e.norm != nil {
		x = kernel.Replace(x, e.norm.Forward(x, nil, p.Deltas))
	}
	return kernel.Replace(x, kernel.Dropout(x, p.Batch.Dropout.Mask(e.dropout)))
}

// scaled returns the rows with what scale_embedding does to them. Where the module of the
// words does not do it itself, the encoder scales words alone: PEFT hands it the rows of a
// sequence with a prompt as embeddings, which it takes as they are. The decoder scales those too.
// Source: transformers 5.23, modeling_pegasus.py, PegasusEncoder and PegasusDecoder.
func (e *embeddings) scaled(p *stack.Pass, words *layer.Embedding) mat.Tensor {
	if !e.scaleRows { // the table is scaled
		return p.Words(words)
	}
	x := p.Words(words)
	if e.scale == 1 {
		return x
	}
	factors := make([]float32, len(p.Spans))
	for i, s := range p.Batch.Sequences {
		if factors[i] = e.scale; !e.decoder && p.Spans[i].End-p.Spans[i].Start > len(s.IDs) {
			factors[i] = 1
		}
	}
	return kernel.Replace(x, kernel.ScaleSpans(x, models.KernelSpans(p.Spans), factors))
}
