package modernbert

import (
	"fmt"
	"slices"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/layer"
)

// config holds the fields of config.json that change a number.
// Source: transformers 5.23, configuration_modernbert.py.
type config struct {
	encoder.Config
	intermediate int
	gated        layer.Activation
	kinds        []kind // of the layers

	normBias, attentionBias, mlpBias, classifierBias, decoderBias bool
	attentionDropout, embeddingDropout, mlpDropout                float32

	headActivation layer.Activation
	mean           bool // classifier_pooling
}

// kind is what tells apart the layers that see all tokens and those that see some.
type kind struct {
	window int
	rope   *layer.Rope
}

func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r := file.Reader()
	fields := encoder.BERTFields
	c := config{
		Config: encoder.Config{
			Shape: models.Shape{
				ModelType:    file.ModelType,
				Layers:       r.SizeOr(fields.Layers, 22),
				Hidden:       r.SizeOr(fields.Hidden, 768),
				Heads:        r.SizeOr(fields.Heads, 12),
				Vocab:        r.SizeOr("vocab_size", 50368),
				MaxPositions: r.SizeOr("max_position_embeddings", 8192),
				PEFT:         models.PEFTLimits{NoPast: true},
			},
			NormEps:           float32(r.NotNegativeOr("norm_eps", 1e-5)),
			ClassifierDropout: r.ProbabilityOr("classifier_dropout", 0),
			InitRange:         r.NotNegativeOr("initializer_range", 0.02),
			Tied:              r.BoolOr("tie_word_embeddings", true),
		},
		intermediate:     r.SizeOr("intermediate_size", 1152),
		gated:            layer.ReadGatedActivation(r, "hidden_activation", "gelu"),
		normBias:         r.BoolOr("norm_bias", false),
		attentionBias:    r.BoolOr("attention_bias", false),
		mlpBias:          r.BoolOr("mlp_bias", false),
		classifierBias:   r.BoolOr("classifier_bias", false),
		decoderBias:      r.BoolOr("decoder_bias", true),
		attentionDropout: r.ProbabilityOr("attention_dropout", 0),
		embeddingDropout: r.ProbabilityOr("embedding_dropout", 0),
		mlpDropout:       r.ProbabilityOr("mlp_dropout", 0),
		headActivation:   layer.ReadActivation(r, "classifier_activation", "gelu"),
	}
	c.Embedding = c.Hidden
	c.Config = c.Complete(r, fields, tensors)
	pooling := r.StringOr("classifier_pooling", "cls")
	if !slices.Contains([]string{"cls", "mean"}, pooling) {
		r.Reject("classifier_pooling", "cls or mean")
	}
	c.mean = pooling == "mean"
	if err := r.Err(); err != nil { // the layers are as many as the sizes say
		return c, err
	}
	c.kinds = c.readKinds(r)
	return c, r.Err()
}

const full, sliding = "full_attention", "sliding_attention"

// readKinds reads what tells the layers apart: their windows, and rope_parameters or the
// older global_rope_theta and local_rope_theta.
func (c config) readKinds(r *hfio.ConfigReader) []kind {
	if r.Has("rope_scaling") {
		r.Reject("rope_scaling", "null")
	}
	// As transformers has it, half of local_attention on either side.
	kinds := map[string]kind{full: {}, sliding: {window: r.SizeOr("local_attention", 128)/2 + 1}}
	thetas := map[string]float64{full: r.FloatOr("global_rope_theta", 160000), sliding: r.FloatOr("local_rope_theta", 10000)}
	parameters, _ := r.Sub("rope_parameters")
	for _, name := range []string{full, sliding} {
		own, _ := parameters.Sub(name)
		k := kinds[name]
		k.rope = layer.ReadRope(own, layer.RopeSizes{Head: c.HeadDim, Theta: thetas[name], MaxPositions: c.MaxPositions, Nested: true, Whole: true})
		kinds[name] = k
	}
	names := r.StringsOr("layer_types", nil)
	if names == nil {
		every := r.SizeOr("global_attn_every_n_layers", 3)
		for i := range c.Layers {
			names = append(names, map[bool]string{true: full, false: sliding}[i%every == 0])
		}
	}
	if len(names) != c.Layers {
		r.Reject("layer_types", fmt.Sprintf("%d of them", c.Layers))
	}
	var ofLayers []kind
	for _, name := range names {
		k, known := kinds[name]
		if !known {
			r.Reject("layer_types", full+" or "+sliding)
		}
		ofLayers = append(ofLayers, k)
	}
	return ofLayers
}

// norm reads a LayerNorm of the model's width.
func (c config) norm(w *layer.Weights, name string) *layer.Norm {
	if c.normBias {
		return w.Norm(name, c.Hidden, c.NormEps)
	}
	return w.PlainNorm(name, c.Hidden, c.NormEps)
}
