package llama

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// config holds the fields of config.json that change a number.
type config struct {
	models.Shape
	intermediate int
	normEps      float32
	normOffset   float32 // added to the weights of norms
	norms        normNames
	qkNorm       qkNorm
	activation   layer.Activation // of the gate
	// qkvBias, outputBias and mlpBias: the linears have biases.
	qkvBias, outputBias, mlpBias bool
	fused                        bool    // queries, keys and values are one linear, gate and up another
	scale                        float32 // of the scores; 0: 1/√k
	softCap, logitCap            float32 // of the scores and of the logits; 0: none
	embedScale                   float32 // of the word embeddings; 0: 1
	layers                       []layerConfig
	attentionDropout             float32
	residualDropout              float32
	embedDropout                 float32
	classifierDropout            float32
	initRange                    float64
	tied                         bool // the word embeddings are the head's weight
	pad                          int  // pad_token_id; -1: none
}

// layerConfig is in what the layers of a model differ.
type layerConfig struct {
	rope   *layer.Rope // nil: positions have no effect
	window int         // how many positions a row looks back, its own included; 0: to the first
}

// normNames are the norms of a layer as the checkpoint calls them; "": none.
type normNames struct{ attentionIn, attentionOut, mlpIn, mlpOut string }

// qkNorm says how queries and keys are normalised.
type qkNorm int

const (
	noNorm      qkNorm = iota
	normOfHeads        // each head by itself
	normOfAll          // all heads together
)

func (c config) newNorm(w *layer.Weights, name string, d int) *layer.RMSNorm {
	return w.RMSNorm(name, d, c.normEps, c.normOffset)
}

func (c config) optionalNorm(w *layer.Weights, name string) *layer.RMSNorm {
	if name == "" {
		return nil
	}
	return c.newNorm(w, name, c.Hidden)
}

// reader reads the config of a family.
type reader struct {
	*hfio.ConfigReader
	config
	absent defaults
}

// readConfig reads a config and reports everything in it that this package cannot
// compute, and more layers than the checkpoint has tensors.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	f, known := families[file.ModelType]
	if !known {
		return config{}, fmt.Errorf("%w: %s, want one of: %s", models.ErrUnknownArchitecture, file.ModelType,
			strings.Join(slices.Sorted(maps.Keys(families)), ", "))
	}
	r := &reader{ConfigReader: file.Reader(), absent: f.defaults}
	r.sizes(file.ModelType)
	r.rest()
	if r.Layers > tensors {
		r.Reject("num_hidden_layers", fmt.Sprintf("no more than the %d tensors of the checkpoint", tensors))
	} else {
		r.layers = make([]layerConfig, r.Layers)
	}
	f.read(r)
	return r.config, r.Err()
}

// sizes reads the sizes, which must be there: their defaults are those of one published model.
func (r *reader) sizes(modelType string) {
	r.Shape = models.Shape{
		ModelType: modelType,
		Layers:    r.Size("num_hidden_layers"),
		Hidden:    r.Size("hidden_size"),
		Heads:     max(1, r.Size("num_attention_heads")),
		Vocab:     r.Size("vocab_size"),
	}
	r.intermediate = r.Size("intermediate_size")
	r.Embedding, r.KVHeads = r.Hidden, r.Heads
	if r.absent.keyHeads && !r.given("num_key_value_heads") || r.Has("num_key_value_heads") {
		r.KVHeads = max(1, r.Size("num_key_value_heads"))
	}
	if r.Heads%r.KVHeads != 0 {
		r.Reject("num_key_value_heads", "a divisor of num_attention_heads")
	}
	switch {
	case r.absent.headDim || r.Has("head_dim"):
		r.HeadDim = r.Size("head_dim")
	case r.Hidden%r.Heads != 0:
		r.Reject("num_attention_heads", "a divisor of hidden_size")
	default:
		r.HeadDim = r.Hidden / r.Heads
	}
}

// rest reads what the families have alike beside their sizes.
func (r *reader) rest() {
	r.normEps = float32(r.NotNegativeOr("rms_norm_eps", r.absent.normEps))
	r.norms = normNames{attentionIn: "input_layernorm", mlpIn: "post_attention_layernorm"}
	r.activation = layer.ReadGatedActivation(r.ConfigReader, r.absent.act, r.absent.activation)
	r.attentionDropout = r.ProbabilityOr("attention_dropout", 0)
	// Source: transformers 5.23, modeling_layers.py, GenericForTokenClassification.
	r.classifierDropout = r.ProbabilityOr("classifier_dropout", r.ProbabilityOr("hidden_dropout", 0.1))
	r.initRange = r.NotNegativeOr("initializer_range", 0.02)
	r.tied = r.BoolOr("tie_word_embeddings", r.absent.tied)
	r.pad = r.absent.pad
	if r.given("pad_token_id") {
		r.pad = r.IntOr("pad_token_id", -1)
	}
}

// given tells whether the file has a key, be it null.
func (r *reader) given(key string) bool { return slices.Contains(r.Keys(), key) }
