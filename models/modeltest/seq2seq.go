package modeltest

import (
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

// RunEncoderDecoder runs the suite on the encoder, which has no cache, on the decoder, with
// what the encoder makes of one text, and on both together.
func RunEncoderDecoder(t *testing.T, s Suite) {
	RunEncoder(t, s)
	m := s.Backbone.(models.EncoderDecoder)
	decoder, both := s, s
	decoder.Backbone = decoderAlone{m}
	both.Backbone, both.decoder = struct{ models.EncoderDecoder }{m}, true
	t.Run("Decoder", func(t *testing.T) { decoder.run(t, "PromptAmongTokens", "PromptOfWords", "BadInput") })
	t.Run("Both", func(t *testing.T) {
		both.run(t, "Shapes", "PromptAmongTokens", "PromptOfWords", "PrefixIsCache")
		t.Run("Steps", both.decoded)
	})
}

// RunEncoder runs the suite on the encoder alone.
func RunEncoder(t *testing.T, s Suite) {
	s.Backbone, s.noPast = encoderAlone{s.Backbone.(models.EncoderDecoder)}, true
	t.Run("Encoder", func(t *testing.T) { s.run(t, "PrefixIsCache", "BadInput") })
}

// What the decoder reads token by token, behind texts of their own and several prompts, gets
// the hidden states that it has when all is read at once. The text is read in the first step.
func (s Suite) decoded(t *testing.T) {
	m := s.Backbone.(struct{ models.EncoderDecoder }).EncoderDecoder.(models.Decoder)
	batch, hidden := s.mixed(), s.width()
	for i := range batch.Sequences {
		batch.Sequences[i].DecoderIDs = []int{i, 3, 1, 2}
	}
	whole, held := s.forward(t, batch), caches(m, batch)
	got := make([][]float32, len(batch.Sequences))
	for at := range 4 {
		piece := models.Batch{Sequences: slices.Clone(batch.Sequences)}
		for i := range piece.Sequences {
			piece.Sequences[i].DecoderIDs = batch.Sequences[i].DecoderIDs[at:][:1]
			if at > 0 {
				piece.Sequences[i].IDs = nil
			}
		}
		out := s.step(t, m, piece, held)
		for i, span := range out.Spans {
			got[i] = append(got[i], models.Values(out.Hidden)[span.Start*hidden:span.End*hidden]...)
		}
	}
	for i, span := range whole.Spans {
		numtest.Close(t, got[i], models.Values(whole.Hidden)[span.Start*hidden:span.End*hidden], stepRTol, stepATol)
	}
}

// encoderAlone is the encoder as a backbone.
type encoderAlone struct{ models.EncoderDecoder }

func (m encoderAlone) Forward(batch models.Batch) (models.Output, error) {
	batch.EncoderOnly = true
	return m.EncoderDecoder.Forward(batch)
}

// decoderAlone is the decoder as a backbone that reads IDs, beside one text of the encoder's.
type decoderAlone struct{ models.EncoderDecoder }

func (m decoderAlone) Shape() models.Shape { return m.EncoderDecoder.Shape().OfDecoder() }

func (m decoderAlone) Forward(batch models.Batch) (models.Output, error) {
	return m.EncoderDecoder.Forward(m.besideText(batch))
}

func (m decoderAlone) Step(batch models.Batch, caches []*models.Cache) (models.Output, error) {
	return m.EncoderDecoder.(models.Decoder).Step(m.besideText(batch), caches)
}

func (m decoderAlone) besideText(batch models.Batch) models.Batch {
	batch.Sequences = slices.Clone(batch.Sequences)
	prompts := map[*models.Prompt]*models.Prompt{}
	for i, s := range batch.Sequences {
		own := models.Sequence{IDs: []int{3, 1, 4, 1, 5}, DecoderIDs: append([]int{}, s.IDs...), Reads: s.Reads}
		if p := s.Prompt; p != nil {
			if prompts[p] == nil {
				prompts[p] = &models.Prompt{DecoderInput: p.Input, Past: p.Past, Deltas: p.Deltas}
			}
			own.Prompt = prompts[p]
		}
		batch.Sequences[i] = own
	}
	return batch
}
