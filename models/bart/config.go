package bart

import (
	"fmt"
	"math"
	"slices"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// config holds the fields of config.json that change a number, and in what the families
// differ.
type config struct {
	models.Shape
	intermediate, decoderIntermediate int
	activation                        layer.Activation
	dropout                           float32
	attentionDropout                  float32
	activationDropout                 float32
	classifierDropout                 float32
	initRange                         float64
	scale                             float32 // of the word embeddings
	tied                              bool
	start, padding, eos               int // tokens
	family
}

// family is in what the model types differ.
type family struct {
	normFirst     bool // each part reads the norm of its rows, and a norm follows the stack
	embeddingNorm bool
	// sinusoidal positions are computed, where the checkpoint does not hold them; learned ones
	// begin at row 2 of their table.
	sinusoidal bool
	// scaleRows: what is scaled are the rows before the positions, and those of a prompted
	// encoder not at all.
	scaleRows bool
	// wrapped: what the decoder reads begins with the last label, which names a language.
	wrapped    bool
	start, pad int // defaults; -1: none
}

// Source: transformers 5.23, modeling_bart.py, modeling_mbart.py and modeling_pegasus.py, with
// their configuration files.
var families = map[string]family{
	"bart":    {embeddingNorm: true, start: 2, pad: 1},
	"mbart":   {embeddingNorm: true, normFirst: true, wrapped: true, start: -1, pad: 1},
	"pegasus": {normFirst: true, sinusoidal: true, scaleRows: true},
}

// readConfig reads a config and reports everything in it that this package cannot
// compute, and more layers than the checkpoint has tensors.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r := file.Reader()
	r.AlsoNamed("encoder_layers", "num_hidden_layers")
	r.AlsoNamed("encoder_attention_heads", "num_attention_heads")
	r.AlsoNamed("d_model", "hidden_size")
	c := config{
		Shape: models.Shape{
			ModelType:     file.ModelType,
			Layers:        r.SizeOr("encoder_layers", 12),
			DecoderLayers: r.SizeOr("decoder_layers", 12),
			Hidden:        r.SizeOr("d_model", 1024),
			Heads:         r.SizeOr("encoder_attention_heads", 16),
			DecoderHeads:  r.SizeOr("decoder_attention_heads", 16),
			Vocab:         r.SizeOr("vocab_size", 50265),
			MaxPositions:  r.SizeOr("max_position_embeddings", 1024),
		},
		intermediate:        r.SizeOr("encoder_ffn_dim", 4096),
		decoderIntermediate: r.SizeOr("decoder_ffn_dim", 4096),
		dropout:             r.ProbabilityOr("dropout", 0.1),
		attentionDropout:    r.ProbabilityOr("attention_dropout", 0),
		activationDropout:   r.ProbabilityOr("activation_dropout", 0),
		classifierDropout:   r.ProbabilityOr("classifier_dropout", 0),
		initRange:           r.NotNegativeOr("init_std", 0.02),
		scale:               1,
		tied:                r.BoolOr("tie_word_embeddings", true),
		family:              families[file.ModelType],
	}
	c.Embedding, c.KVHeads = c.Hidden, c.Heads
	c.HeadDim = c.Hidden / c.Heads
	if r.BoolOr("scale_embedding", false) {
		c.scale = float32(math.Sqrt(float64(c.Hidden)))
	}
	c.start, c.padding = r.IntOr("decoder_start_token_id", c.family.start), r.IntOr("pad_token_id", c.pad)
	c.eos = r.IntOr("eos_token_id", 2)
	c.reject(r, tensors)
	return c, r.Err()
}

func (c *config) reject(r *hfio.ConfigReader, tensors int) {
	for _, key := range []string{"encoder_layers", "decoder_layers"} {
		if r.IntOr(key, 12) > tensors {
			r.Reject(key, fmt.Sprintf("no more than the %d tensors of the checkpoint", tensors))
		}
	}
	for _, key := range []string{"encoder_attention_heads", "decoder_attention_heads"} {
		if heads := r.SizeOr(key, 16); c.Hidden%heads != 0 {
			r.Reject(key, fmt.Sprintf("a divisor of d_model %d", c.Hidden))
		}
	}
	for _, key := range []string{"encoder_layerdrop", "decoder_layerdrop"} {
		if r.NotNegativeOr(key, 0) != 0 {
			r.Reject(key, "0: no layer is dropped in training")
		}
	}
	var known bool
	if c.activation, known = layer.ActivationOf(r.StringOr("activation_function", "gelu")); !known {
		r.Reject("activation_function", "gelu, relu, silu or another of transformers' element-wise functions")
	}
	if !c.wrapped && (c.start < 0 || c.start >= c.Vocab) {
		r.Reject("decoder_start_token_id", "a token of the vocabulary")
	}
	if c.padding < 0 || c.padding >= c.Vocab {
		r.Reject("pad_token_id", "a token of the vocabulary")
	}
	if !r.BoolOr("is_encoder_decoder", true) {
		r.Reject("is_encoder_decoder", "true")
	}
}

// shiftRight returns what the decoder reads to say labels.
func (c config) shiftRight(labels []int) []int {
	if !c.wrapped || len(labels) == 0 {
		return models.ShiftRight(labels, c.start, c.padding)
	}
	// Source: modeling_mbart.py, shift_tokens_right, which looks for the last label by the number
	// of those that are no padding.
	own := slices.DeleteFunc(slices.Clone(labels), func(id int) bool { return id == models.Ignored || id == c.padding })
	last := labels[max(0, len(own)-1)]
	if last == models.Ignored {
		last = c.padding
	}
	return models.ShiftRight(labels, last, c.padding)
}
