package stack

import (
	"fmt"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// Stacks are those of an encoder-decoder: what puts the rows of a pass through them, and the
// decoder's layers, which attend to the encoder's rows. Of a checkpoint that has no decoder
// there is none, and the encoder can be read alone.
type Stacks struct {
	Encoder, Decoder func(*Pass) models.Output
	DecoderLayers    []Layer
}

// Read is the Forward of the backbone: the decoder's last hidden states, or for a head that
// reads the encoder alone the encoder's.
func (s Stacks) Read(m models.EncoderDecoder, batch models.Batch) (_ models.Output, err error) {
	defer models.Guard(&err)
	encoder, decoder, err := m.Shape().Parts(batch, m)
	if err != nil {
		return models.Output{}, err
	}
	encoded, err := s.encode(encoder)
	if err != nil || batch.EncoderOnly {
		return encoded, err
	}
	if err := s.decodes(); err != nil {
		return models.Output{}, err
	}
	p, err := Begin(decoder)
	if err != nil {
		return models.Output{}, err
	}
	p.memory = &encoded // Run releases it
	return s.Decoder(p), nil
}

// decodes reports a decoder that is not there.
func (s Stacks) decodes() error {
	if s.Decoder == nil {
		return fmt.Errorf("%w: the checkpoint has no decoder", models.ErrUnsupportedTask)
	}
	return nil
}

// Step is the Step of the backbone: it reads pieces of the decoder's ids.
func (s Stacks) Step(m models.EncoderDecoder, batch models.Batch, caches []*models.Cache) (_ models.Output, err error) {
	defer models.Guard(&err)
	if err := s.decodes(); err != nil {
		return models.Output{}, err
	}
	p, err := s.behind(m, batch, caches)
	if err != nil {
		return models.Output{}, err
	}
	return s.Decoder(p), nil
}

func (s Stacks) encode(texts models.Batch) (models.Output, error) {
	p, err := Begin(texts)
	if err != nil {
		return models.Output{}, err
	}
	return s.Encoder(p), nil
}

// behind lays out what the decoder has to read behind caches, and checks all. Caches that
// have not begun get what its layers attend to of what the encoder makes.
func (s Stacks) behind(m models.EncoderDecoder, batch models.Batch, caches []*models.Cache) (*Pass, error) {
	p, err := behind(m.Shape().OfDecoder(), batch.DecoderPart(m), caches)
	if err != nil {
		return nil, err
	}
	texts, fresh := batch, []*models.Cache(nil)
	texts.Sequences, texts.Checkpointing = nil, false
	for i, c := range caches {
		if c.Cross == nil {
			texts.Sequences, fresh = append(texts.Sequences, batch.Sequences[i]), append(fresh, c)
		}
	}
	if fresh == nil {
		return p, nil
	}
	texts = texts.EncoderPart()
	if err := m.Shape().Check(texts); err != nil {
		return nil, err
	}
	encoded, err := s.encode(texts)
	if err != nil {
		return nil, err
	}
	remember(encoded, s.DecoderLayers, fresh)
	return p, nil
}

// remember puts the keys and values of an encoder's rows into the caches of their sequences.
func remember(encoded models.Output, layers []Layer, caches []*models.Cache) {
	memory := Memory{Rows: encoded.Hidden, Spans: models.KernelSpans(encoded.Spans), Deltas: models.DeltasOf(encoded.Prompts, encoded.Spans, nil)}
	for _, l := range layers {
		kv := l.(Attends).KeysAndValues(memory)
		values, half := kernel.Data(kv), kernel.Cols(kv)/2
		for i, span := range memory.Spans {
			keys, own := make([]float32, 0, span.Len()*half), make([]float32, 0, span.Len()*half)
			for r := span.Start; r < span.End; r++ {
				row := values[r*2*half:][:2*half]
				keys, own = append(keys, row[:half]...), append(own, row[half:]...)
			}
			caches[i].Cross = append(caches[i].Cross, models.KV{Keys: kernel.New(span.Len(), half, keys), Values: kernel.New(span.Len(), half, own)})
		}
		kernel.Release(kv)
	}
	kernel.Release(encoded.Hidden)
}

// cross are the keys and values of the encoder's rows in one layer of a step.
func (p *Pass) cross(layer int) []kernel.Past {
	var all []kernel.Past
	for _, c := range p.caches {
		if c.Cross != nil {
			all = append(all, kernel.Past(c.Cross[layer]))
		}
	}
	return all
}
