package deberta

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/layer"
)

// config holds the fields of config.json that change a number.
// Source: transformers 5.23, configuration_deberta.py and configuration_deberta_v2.py; fields
// that only modeling_deberta.py and modeling_deberta_v2.py name are read as there.
type config struct {
	encoder.Config
	first bool // the first version, deberta

	terms                                int  // of a score: what tokens say, and pos_att_type
	contentToPosition, positionToContent bool // c2p and p2c
	shared                               bool // share_att_key: positions go through the projections of tokens
	normRelative                         bool // norm_rel_ebd
	span                                 int  // distances up to it have embeddings
	buckets                              int  // position_buckets; 0: every distance has an embedding
	farthest                             int  // max_relative_positions

	convolution           int // conv_kernel_size; 0: none
	convolutionActivation layer.Activation

	legacy           bool // the head for masked words
	poolerDropout    float32
	poolerActivation layer.Activation
}

// relative tells whether there are embeddings of relative positions that anything looks at.
func (c config) relative() bool { return c.contentToPosition || c.positionToContent }

// readConfig reads a config and reports everything in it that cannot be computed.
func readConfig(file hfio.ModelConfig, tensors int) (config, error) {
	r := file.Reader()
	c := config{
		Config: encoder.Config{
			Shape: models.Shape{
				ModelType: file.ModelType, Layers: 24, Hidden: 1536, Heads: 24, Vocab: 128100, MaxPositions: 512,
				PEFT: models.PEFTLimits{NoPast: true},
			},
			Intermediate: 6144, Act: "gelu", NormEps: 1e-7, HiddenDropout: 0.1, AttentionDropout: 0.1, InitRange: 0.02,
		},
		first: file.ModelType == "deberta",
	}
	if c.first {
		c.Layers, c.Hidden, c.Heads, c.Vocab, c.Intermediate = 12, 768, 12, 50265, 3072
	}
	c.Config = c.Read(r)
	c.Embedding = r.SizeOr("embedding_size", c.Hidden)
	if c.TypeVocab = r.IntOr("type_vocab_size", 0); c.TypeVocab < 0 {
		r.Reject("type_vocab_size", "an integer of at least 0")
	}
	c.Config = c.Complete(r, encoder.BERTFields, tensors)
	c.readPositions(r)
	if !r.BoolOr("position_biased_input", true) {
		c.MaxPositions = 0 // distances beyond the last embedding share it
	}
	c.ClassifierDropout = r.ProbabilityOr("cls_dropout", c.HiddenDropout)
	c.legacy = r.BoolOr("legacy", true)
	c.poolerDropout = r.ProbabilityOr("pooler_dropout", 0)
	c.poolerActivation = layer.ReadActivation(r, "pooler_hidden_act", "gelu")
	c.readConvolution(r)
	c.rejectOthers(r)
	return c, r.Err()
}

// readPositions reads what attention knows of distances.
func (c *config) readPositions(r *hfio.ConfigReader) {
	types := readTypes(r)
	c.terms = 1 + len(types)
	if !r.BoolOr("relative_attention", false) {
		return
	}
	c.contentToPosition, c.positionToContent = slices.Contains(types, "c2p"), slices.Contains(types, "p2c")
	if c.farthest = r.IntOr("max_relative_positions", -1); c.farthest < 1 {
		c.farthest = c.MaxPositions
	}
	c.span = c.farthest
	if c.first {
		return
	}
	c.shared = r.BoolOr("share_att_key", false)
	if c.buckets = max(0, r.IntOr("position_buckets", -1)); c.buckets > 0 {
		c.span = c.buckets
		if c.buckets < 2 || c.farthest-1 <= c.buckets/2 {
			r.Reject("position_buckets", fmt.Sprintf("at least 2, whose half is below max_relative_positions - 1, %d", c.farthest-1))
		}
	}
	for _, name := range strings.Split(strings.ToLower(r.StringOr("norm_rel_ebd", "none")), "|") {
		switch strings.TrimSpace(name) {
		case "none":
		case "layer_norm":
			c.normRelative = true
		default:
			r.Reject("norm_rel_ebd", "none or layer_norm")
		}
	}
}

// readConvolution reads what stands behind the first layer.
func (c *config) readConvolution(r *hfio.ConfigReader) {
	if c.first {
		return
	}
	if c.convolution = max(0, r.IntOr("conv_kernel_size", 0)); c.convolution == 0 {
		return
	}
	const widest = 1 << 8
	if c.convolution%2 == 0 || c.convolution > widest {
		r.Reject("conv_kernel_size", fmt.Sprintf("an odd number up to %d, or 0", widest))
	}
	if r.IntOr("conv_groups", 1) != 1 {
		r.Reject("conv_groups", "1")
	}
	c.convolutionActivation = layer.ReadActivation(r, "conv_act", "tanh")
}

// readTypes reads pos_att_type, a list or names between bars.
func readTypes(r *hfio.ConfigReader) []string {
	const key = "pos_att_type"
	var types []string
	if raw := r.RawOr(key, nil); len(raw) > 0 && raw[0] == '"' {
		for _, name := range strings.Split(strings.ToLower(r.StringOr(key, "")), "|") {
			types = append(types, strings.TrimSpace(name))
		}
	} else {
		types = r.StringsOr(key, nil)
	}
	for i, name := range types {
		if name != "c2p" && name != "p2c" || slices.Contains(types[:i], name) {
			r.Reject(key, "c2p, p2c or both")
			break
		}
	}
	return types
}

// rejectOthers rejects what older checkpoints may ask for beyond what transformers' config has.
func (c config) rejectOthers(r *hfio.ConfigReader) {
	if size := r.IntOr("pooler_hidden_size", c.Hidden); size != c.Hidden {
		r.Reject("pooler_hidden_size", fmt.Sprintf("hidden_size, %d", c.Hidden))
	}
	if c.first {
		if r.BoolOr("talking_head", false) {
			r.Reject("talking_head", "false")
		}
		return
	}
	if size := r.IntOr("attention_head_size", c.HeadDim); size != c.HeadDim {
		r.Reject("attention_head_size", fmt.Sprintf("hidden_size / num_attention_heads, %d", c.HeadDim))
	}
}
