package main

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// sizes are what the counts need of a base.
type sizes struct {
	Layers       int
	Decoder      int // layers of an encoder-decoder's decoder
	Hidden       int // d
	Keys         int // g, the width of the keys, and of the values: less than d where queries are grouped
	Intermediate int // f
	Vocab        int // V
}

// sizesOf reads the sizes of a model directory.
func sizesOf(dir string) (sizes, error) {
	base, err := auto.Open(hfio.Dir(dir), nil)
	if err != nil {
		return sizes{}, err
	}
	defer base.Close()
	shape, fields := base.Shape(), base.Config().Reader()
	return sizes{
		Layers: shape.Layers, Decoder: shape.DecoderLayers, Hidden: shape.Hidden, Keys: shape.KVHeads * shape.HeadDim, Vocab: shape.Vocab,
		Intermediate: fields.SizeOr("d_ff", fields.SizeOr("intermediate_size", 4*shape.Hidden)),
	}, fields.Err()
}

// inputLevel are the methods that lengthen the sequence; the others lengthen the keys.
func (r row) inputLevel() bool { return r.method != "prefix" }

// readsMemory tells whether the memory's rate bounds the row, not the processors': every
// token that is written needs all weights.
func (r row) readsMemory() bool { return r.kind == generating && r.data.written > 1 }

// needs returns what the timed calls on these sequences need: floating-point operations, or
// bytes that are read; 0 where it is not counted.
func (r row) needs(s sizes, tokens []int) float64 {
	switch {
	case r.kind == starting || r.kind == tokenizing || r.task() == models.Seq2SeqLM:
		return 0
	case r.readsMemory():
		return r.bytes(s, tokens)
	}
	return r.flops(s, tokens)
}

// weights are those of a layer's matrices.
func (r row) weights(s sizes) float64 {
	d, g, f := float64(s.Hidden), float64(s.Keys), float64(s.Intermediate)
	products := 2.0
	if bases[r.base].gated {
		products = 3
	}
	return 2*d*d + 2*d*g + products*d*f
}

// head are the weights of the matrix that gives a language model's scores; a classifier's are not counted.
func (r row) head(s sizes) float64 {
	if r.task() == models.SeqCls {
		return 0
	}
	return float64(s.Vocab) * float64(s.Hidden)
}

// flops counts the floating-point operations of the matrix products that a call on these
// sequences needs, a multiplication and an addition as two. What is not counted:
// everything element-wise, a classifier's head and the prompt's encoder (under 0.1 %), pads,
// and what an implementation computes twice.
//
// One sequence of T tokens has R rows (T, or T+P where the prompt is put before the
// input) which attend to A keys together: to T+P each or, in a decoder, to those up to their own.
// A layer's matrices have W = 2·d² + 2·d·g + 2·d·f weights, or 3·d·f where the feed-forward
// layer is gated. Then, for all L layers,
//
//	forward:  2·R·W + 4·d·A
//	backward: 2·R·W + 8·d·A - (R-P')·2·d·(d+2·g)
//
// The base is frozen: no weight has a gradient. The last term is the lowest layer's
// product with the weights of queries, keys and values, of whose inputs only P' have a gradient
// that is used: P virtual rows before the input, or none with a prefix. A language model's head
// has V·d weights for each row that predicts: T of them, or T-1 where nothing stands before the
// first token; the last one only where a token is to be written.
func (r row) flops(s sizes, tokens []int) float64 {
	d, g, layers, weights := float64(s.Hidden), float64(s.Keys), float64(s.Layers), r.weights(s)
	total := 0.0
	for _, t := range tokens {
		keys := float64(t + virtualTokens)
		sequenceRows, prompts := float64(t), 0.0
		if r.inputLevel() {
			sequenceRows, prompts = keys, virtualTokens
		}
		attended := sequenceRows * keys
		if r.task() == models.CausalLM { // the last row attends to all keys, each before it to one less
			attended -= sequenceRows * (sequenceRows - 1) / 2
		}
		total += layers * (2*sequenceRows*weights + 4*d*attended)
		if r.kind == training {
			total += layers*(2*sequenceRows*weights+8*d*attended) - (sequenceRows-prompts)*2*d*(d+2*g)
		}
		total += 2 * r.head(s) * r.predicting(t)
	}
	return total
}

// predicting is how often a sequence of t tokens is multiplied with the head, forward and backward.
func (r row) predicting(t int) float64 {
	switch {
	case r.kind == generating:
		return 1
	case r.inputLevel():
		return 2 * float64(t)
	}
	return 2 * float64(t-1)
}

// bytes counts what must be read from memory to write the tokens behind these sequences, one token a
// sequence after the other, all sequences of a batch together: for each step the weights of
// the layers and of the head, and for each sequence in it the keys and values of what is
// before, 2·g a layer. All numbers have the width of the weights.
func (r row) bytes(s sizes, tokens []int) float64 {
	width := 4.0
	if r.bf16 {
		width = 2
	}
	written, layers := r.data.written, float64(s.Layers)
	steps := float64(len(tokens) / r.data.batch * written)
	total := steps * (layers*r.weights(s) + r.head(s))
	for _, t := range tokens {
		for step := 1; step < written; step++ { // the first step reads the prompt
			total += layers * 2 * float64(s.Keys) * float64(virtualTokens+t+step)
		}
	}
	return width * total
}
