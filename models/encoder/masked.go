package encoder

import (
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/head"
	"github.com/gopeft/gopeft/models/layer"
)

// MaskedNames are the paths of a [head.Masked]'s parts, and of its decoder's tied bias.
type MaskedNames struct{ Transform, Norm, Decoder, Bias string }

// NewMasked reads a head for masked words, whose rows are as wide as the word embeddings.
func (c Config) NewMasked(w *layer.Weights, words *layer.Embedding, activation layer.Activation, names MaskedNames) models.Head {
	return &head.Masked{
		Transform:  w.Linear(names.Transform, c.Embedding, c.Hidden),
		Activation: activation,
		Norm:       w.Norm(names.Norm, c.Embedding, c.NormEps),
		Decoder: head.ReadDecoder(w, head.Decoder{
			Words: words.Table, Vocab: c.Vocab, Width: c.Embedding, Tied: c.Tied, Name: names.Decoder, Bias: names.Bias,
		}),
	}
}
