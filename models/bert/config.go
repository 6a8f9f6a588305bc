package bert

import (
	"fmt"
	"math"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// config holds the fields of config.json that change a number.
// Source: transformers 5.23, configuration_bert.py.
type config struct {
	models.Shape
	intermediate      int
	normEps           float32
	activation        layer.Activation
	hiddenDropout     float32
	attentionDropout  float32
	classifierDropout float32
	initRange         float64
	tied              bool // masked LM: word embeddings are the decoder's weight
}

// readConfig reads a config and reports everything in it that this package cannot
// compute, and more layers than the checkpoint has tensors.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r := file.Reader()
	c := config{
		Shape: models.Shape{
			ModelType:    file.ModelType,
			Layers:       r.SizeOr("num_hidden_layers", 12),
			Hidden:       r.SizeOr("hidden_size", 768),
			Heads:        r.SizeOr("num_attention_heads", 12),
			Vocab:        r.SizeOr("vocab_size", 30522),
			MaxPositions: r.SizeOr("max_position_embeddings", 512),
			TypeVocab:    r.SizeOr("type_vocab_size", 2),
		},
		intermediate:     r.SizeOr("intermediate_size", 3072),
		normEps:          float32(notNegative(r, "layer_norm_eps", 1e-12)),
		hiddenDropout:    probability(r, "hidden_dropout_prob", 0.1),
		attentionDropout: probability(r, "attention_probs_dropout_prob", 0.1),
		initRange:        notNegative(r, "initializer_range", 0.02),
		tied:             r.BoolOr("tie_word_embeddings", true),
	}
	if c.Layers > tensors {
		r.Reject("num_hidden_layers", fmt.Sprintf("no more than the %d tensors of the checkpoint", tensors))
	}
	c.classifierDropout = probability(r, "classifier_dropout", float64(c.hiddenDropout))
	c.Embedding, c.KVHeads = c.Hidden, c.Heads
	if c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	if c.HeadDim*c.Heads != c.Hidden {
		r.Reject("num_attention_heads", "a divisor of hidden_size")
	}
	var known bool
	if c.activation, known = layer.ActivationOf(r.StringOr("hidden_act", "gelu")); !known {
		r.Reject("hidden_act", "gelu, relu or tanh")
	}
	if r.StringOr("position_embedding_type", "absolute") != "absolute" {
		r.Reject("position_embedding_type", "absolute")
	}
	for _, key := range []string{"is_decoder", "add_cross_attention"} {
		if r.BoolOr(key, false) {
			r.Reject(key, "false")
		}
	}
	return c, r.Err()
}

func notNegative(r *hfio.ConfigReader, key string, def float64) float64 {
	x := r.FloatOr(key, def)
	if !(x >= 0) || math.IsInf(x, 0) {
		r.Reject(key, "a number of at least 0")
	}
	return x
}

func probability(r *hfio.ConfigReader, key string, def float64) float32 {
	p := r.FloatOr(key, def)
	if !(p >= 0 && p < 1) {
		r.Reject(key, "a probability from 0 to less than 1")
		return 0
	}
	return float32(p)
}
