package modeltest

import (
	"slices"
	"testing"

	"github.com/gopeft/gopeft/models"
)

// RunEncoderDecoder runs the suite on the encoder, which has no cache, on the decoder, with
// what the encoder makes of one text, and on both together.
func RunEncoderDecoder(t *testing.T, s Suite) {
	m := s.Backbone.(models.EncoderDecoder)
	encoder, decoder, both := s, s, s
	encoder.Backbone, encoder.noPast = encoderAlone{m}, true
	decoder.Backbone = decoderAlone{m}
	both.decoder = true
	t.Run("Encoder", func(t *testing.T) { encoder.run(t, "PrefixIsCache", "BadInput") })
	t.Run("Decoder", func(t *testing.T) { decoder.run(t, "PromptAmongTokens", "PromptOfWords", "PrefixIsCache", "BadInput") })
	t.Run("Both", func(t *testing.T) {
		both.run(t, "Shapes", "PromptAmongTokens", "PromptOfWords", "PrefixIsCache")
	})
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
	return m.EncoderDecoder.Forward(batch)
}
