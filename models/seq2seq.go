package models

import (
	"errors"
	"fmt"
)

// EncoderDecoder is a backbone of two stacks: the encoder reads the IDs of a sequence, the
// decoder its DecoderIDs and what the encoder made. The output is the decoder's rows.
type EncoderDecoder interface {
	Backbone
	// ShiftRight returns what the decoder reads to say labels, which is not shorter than they
	// are: the start token and the labels but for the last, where [Ignored] is the padding.
	ShiftRight(labels []int) []int
}

// Parts returns what the encoder and what the decoder of a model of this shape read of a
// batch, as batches of their own, and everything in it that they cannot read.
func (s Shape) Parts(batch Batch, m EncoderDecoder) (encoder, decoder Batch, err error) {
	encoder, decoder = batch.EncoderPart(), batch.DecoderPart(m)
	if err = s.OfDecoder().Check(decoder); err != nil {
		err = fmt.Errorf("decoder: %w", err)
	}
	return encoder, decoder, errors.Join(s.Check(encoder), err)
}

// OfDecoder is the shape of the decoder by itself.
func (s Shape) OfDecoder() Shape {
	own := s
	own.Layers, own.Heads, own.KVHeads = s.DecoderLayers, s.DecoderHeads, s.DecoderHeads
	own.HeadDim = s.Heads * s.HeadDim / s.DecoderHeads
	own.DecoderLayers, own.DecoderHeads = 0, 0
	return own
}

// EncoderPart is what the encoder reads. All rows of it are wanted, unless it is read alone.
func (b Batch) EncoderPart() Batch {
	return b.part(b.EncoderOnly && b.FirstRows, func(s Sequence) Sequence {
		own := Sequence{IDs: s.IDs, TypeIDs: s.TypeIDs, Virtual: s.Virtual}
		if b.EncoderOnly {
			own.Reads = s.Reads
		}
		return own
	}, func(p *Prompt) *Prompt { return &Prompt{Input: p.Input, Deltas: p.Deltas} })
}

// DecoderPart is what the decoder reads.
func (b Batch) DecoderPart(m EncoderDecoder) Batch {
	return b.part(b.FirstRows, func(s Sequence) Sequence {
		own := Sequence{IDs: s.DecoderIDs, Reads: s.Reads}
		if own.IDs == nil {
			own.IDs = m.ShiftRight(s.IDs)
		}
		return own
	}, func(p *Prompt) *Prompt { return &Prompt{Input: p.DecoderInput, Past: p.Past, Deltas: p.Deltas} })
}

// part makes a batch of parts of the sequences and of their prompts, which stay shared as
// they are.
func (b Batch) part(firstRows bool, sequence func(Sequence) Sequence, prompt func(*Prompt) *Prompt) Batch {
	part, prompts := b, map[*Prompt]*Prompt{}
	part.FirstRows, part.Sequences = firstRows, make([]Sequence, len(b.Sequences))
	for i, s := range b.Sequences {
		own := sequence(s)
		if s.Prompt != nil {
			if prompts[s.Prompt] == nil {
				prompts[s.Prompt] = prompt(s.Prompt)
			}
			own.Prompt = prompts[s.Prompt]
		}
		part.Sequences[i] = own
	}
	return part
}

// ShiftRight returns start and the labels but for the last, with the padding for [Ignored].
// Source: transformers 5.23, modeling_bart.py, shift_tokens_right.
func ShiftRight(labels []int, start, padding int) []int {
	shifted := make([]int, len(labels))
	for i := range labels {
		switch {
		case i == 0:
			shifted[i] = start
		case labels[i-1] == Ignored:
			shifted[i] = padding
		default:
			shifted[i] = labels[i-1]
		}
	}
	return shifted
}
