// Package encoder is what encoders in the manner of BERT (Devlin et al. 2019, arXiv
// 1810.04805) share: their config, their embeddings, a layer of self-attention and a
// feed-forward network, each followed by a residual connection and LayerNorm, and the head
// for masked words. An architecture gives its defaults and the names of its tensors.
package encoder

import (
	"fmt"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Config holds the fields of config.json that change a number.
type Config struct {
	models.Shape
	Intermediate      int
	Act               string // the default of hidden_act
	Activation        layer.Activation
	NormEps           float32
	HiddenDropout     float32
	AttentionDropout  float32
	ClassifierDropout float32
	InitRange         float64
	Padding           int  // pad_token_id, whose embedding is not trained; -1: none
	Tied              bool // masked LM: word embeddings are the decoder's weight
}

// Read reads the fields in the names that BERT gives them. c holds the defaults of the
// architecture's config class in transformers. Where it has no embedding_size word
// embeddings are as wide as the model, and where it has no type_vocab_size it leaves types alone.
func (c Config) Read(r *hfio.ConfigReader) Config {
	c.Layers = r.SizeOr("num_hidden_layers", c.Layers)
	c.Hidden = r.SizeOr("hidden_size", c.Hidden)
	c.Heads = r.SizeOr("num_attention_heads", c.Heads)
	c.Vocab = r.SizeOr("vocab_size", c.Vocab)
	c.MaxPositions = r.SizeOr("max_position_embeddings", c.MaxPositions)
	if c.TypeVocab > 0 {
		c.TypeVocab = r.SizeOr("type_vocab_size", c.TypeVocab)
	}
	c.Intermediate = r.SizeOr("intermediate_size", c.Intermediate)
	c.Activation = layer.ReadActivation(r, "hidden_act", c.Act)
	c.NormEps = float32(r.NotNegativeOr("layer_norm_eps", float64(c.NormEps)))
	c.HiddenDropout = r.ProbabilityOr("hidden_dropout_prob", c.HiddenDropout)
	c.AttentionDropout = r.ProbabilityOr("attention_probs_dropout_prob", c.AttentionDropout)
	c.InitRange = r.NotNegativeOr("initializer_range", c.InitRange)
	c.Padding = r.IntOrNull("pad_token_id", c.Padding, -1)
	c.Tied = r.BoolOr("tie_word_embeddings", true)
	if c.Embedding == 0 {
		c.Embedding = c.Hidden
	} else {
		c.Embedding = r.SizeOr("embedding_size", c.Embedding)
	}
	return c
}

// Fields are the names of sizes.
type Fields struct{ Layers, Heads, Hidden string }

// BERTFields are those that Read reads.
var BERTFields = Fields{"num_hidden_layers", "num_attention_heads", "hidden_size"}

// Complete fills what follows from the sizes, and rejects what cannot be computed, and
// more layers than there are tensors for.
func (c Config) Complete(r *hfio.ConfigReader, names Fields, tensors int) Config {
	if c.Layers > tensors {
		r.Reject(names.Layers, fmt.Sprintf("no more than the %d tensors of the checkpoint", tensors))
	}
	c.KVHeads = c.Heads
	if c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	if c.HeadDim*c.Heads != c.Hidden {
		r.Reject(names.Heads, "a divisor of "+names.Hidden)
	}
	if r.StringOr("position_embedding_type", "absolute") != "absolute" {
		r.Reject("position_embedding_type", "absolute")
	}
	for _, key := range []string{"is_decoder", "add_cross_attention"} {
		if r.BoolOr(key, false) {
			r.Reject(key, "false")
		}
	}
	return c
}
