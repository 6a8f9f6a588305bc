package t5

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// config holds the fields of config.json that change a number.
type config struct {
	models.Shape
	intermediate         int
	normEps              float32
	gated                bool
	activation           layer.Activation // of [R, 2·intermediate] where it is gated
	buckets, maxDistance int              // of the relative positions
	dropout              float32
	classifierDropout    float32
	initFactor           float64
	scaled               bool // the head reads hidden states times 1/√d
	start, padding, eos  int  // tokens
	encoderOnly          bool // the checkpoint is of a class without a decoder
}

// Source: transformers 5.23, configuration_t5.py and configuration_mt5.py.
var defaults = map[string]config{
	"t5": {
		Shape:        models.Shape{Layers: 6, Hidden: 512, HeadDim: 64, Heads: 8, Vocab: 32128},
		intermediate: 2048, start: -1,
	},
	"mt5": {
		Shape:        models.Shape{Layers: 8, Hidden: 512, HeadDim: 64, Heads: 6, Vocab: 250112},
		intermediate: 1024, gated: true,
	},
}

// readConfig reads a config and reports everything in it that this package cannot
// compute, and more layers than the checkpoint has tensors.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r, c := file.Reader(), defaults[file.ModelType]
	r.AlsoNamed("num_layers", "num_hidden_layers")
	r.AlsoNamed("num_heads", "num_attention_heads")
	r.AlsoNamed("d_model", "hidden_size")
	r.AlsoNamed("d_kv", "head_dim")
	c.ModelType, c.encoderOnly = file.ModelType, isEncoder(file)
	c.Layers = r.SizeOr("num_layers", c.Layers)
	c.DecoderLayers = r.SizeOr("num_decoder_layers", c.Layers)
	c.Hidden = r.SizeOr("d_model", c.Hidden)
	c.HeadDim = r.SizeOr("d_kv", c.HeadDim)
	c.Heads = r.SizeOr("num_heads", c.Heads)
	c.Vocab = r.SizeOr("vocab_size", c.Vocab)
	c.Embedding, c.KVHeads, c.DecoderHeads = c.Hidden, c.Heads, c.Heads
	c.intermediate = r.SizeOr("d_ff", c.intermediate)
	c.normEps = float32(r.NotNegativeOr("layer_norm_epsilon", 1e-6))
	c.buckets = r.SizeOr("relative_attention_num_buckets", 32)
	c.maxDistance = r.SizeOr("relative_attention_max_distance", 128)
	c.dropout = r.ProbabilityOr("dropout_rate", 0.1)
	c.classifierDropout = r.ProbabilityOr("classifier_dropout", 0)
	c.initFactor = r.NotNegativeOr("initializer_factor", 1)
	c.start = r.IntOr("decoder_start_token_id", c.start)
	c.padding, c.eos = r.IntOr("pad_token_id", 0), r.IntOr("eos_token_id", 1)
	c.scaled = c.ModelType == "t5" && r.BoolOr("scale_decoder_outputs", r.BoolOr("tie_word_embeddings", true))
	c.readActivation(r)
	c.reject(r, tensors)
	return c, r.Err()
}

// isEncoder tells whether a checkpoint is of a class without a decoder.
func isEncoder(file hfio.ModelConfig) bool {
	return slices.ContainsFunc(file.Architectures, func(class string) bool {
		return strings.HasSuffix(class, "ForTokenClassification") || strings.HasSuffix(class, "EncoderModel")
	})
}

// readActivation takes apart feed_forward_proj: relu, or gated-gelu, which is by tanh.
func (c *config) readActivation(r *hfio.ConfigReader) {
	standard := "relu"
	if c.gated {
		standard = "gated-gelu"
	}
	var name string
	name, c.gated = strings.CutPrefix(r.StringOr("feed_forward_proj", standard), "gated-")
	activationOf := layer.ActivationOf
	if c.gated {
		activationOf = layer.GatedActivationOf
		if name == "gelu" {
			name = "gelu_new"
		}
	}
	var known bool
	if c.activation, known = activationOf(r.StringOr("dense_act_fn", name)); !known || r.BoolOr("is_gated_act", c.gated) != c.gated {
		r.Reject("feed_forward_proj", "relu, gelu, silu, gated-gelu or gated-silu, and is_gated_act and dense_act_fn that say the same")
	}
}

func (c *config) reject(r *hfio.ConfigReader, tensors int) {
	if c.Layers > tensors {
		r.Reject("num_layers", fmt.Sprintf("no more than the %d tensors of the checkpoint", tensors))
	}
	if c.DecoderLayers > tensors {
		r.Reject("num_decoder_layers", fmt.Sprintf("no more than the %d tensors of the checkpoint", tensors))
	}
	// Half of the buckets are for keys behind the query, and half of those for distances one by one.
	if c.buckets%4 != 0 {
		r.Reject("relative_attention_num_buckets", "a multiple of 4")
	}
	if most := 1 << 20; c.maxDistance <= c.buckets/2 || c.maxDistance > most {
		r.Reject("relative_attention_max_distance", fmt.Sprintf("more than %d, half the buckets, and at most %d", c.buckets/2, most))
	}
	if c.start < 0 || c.start >= c.Vocab {
		r.Reject("decoder_start_token_id", "a token of the vocabulary")
	}
	if c.padding < 0 || c.padding >= c.Vocab {
		r.Reject("pad_token_id", "a token of the vocabulary")
	}
	if !r.BoolOr("is_encoder_decoder", true) && !c.encoderOnly {
		r.Reject("is_encoder_decoder", "true, or a class without a decoder in architectures")
	}
}
