package llama

import (
	"fmt"
	"math"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// family is what a model_type has beside what all have.
type family struct {
	class   string // of transformers, before Model and ForSequenceClassification
	lm      string // the class with the head of a language model, if it is not class and ForCausalLM
	windows bool   // layers may have a window
	// tags and answers: transformers has classes for TOKEN_CLS and QUESTION_ANS, whose backbone
	// may have a prefix of its own.
	tags, answers bool
	prefixes      map[models.Task]string
	defaults      defaults
	read          func(r *reader)
}

// defaults are the values of fields that a config lacks.
type defaults struct {
	normEps    float64
	act        string // the field of the activation
	activation string
	tied       bool
	pad        int // -1: none
	theta      float64
	positions  int
	window     int // 0: none
	// keyHeads and headDim: these fields must be there, since sizes do not follow from others.
	keyHeads, headDim bool
	parts             bool // of heads may be turned
}

// families is the table of them, by model_type.
// Source: transformers 5.23, configuration_*.py and modeling_*.py.
var families = map[string]family{
	"llama": {
		class: "Llama", tags: true, answers: true, prefixes: transformer, read: readLlama,
		defaults: defaults{normEps: 1e-6, act: "hidden_act", activation: "silu", pad: -1, theta: 1e4, positions: 2048},
	},
	"mistral": {
		class: "Mistral", windows: true, tags: true, answers: true, read: readMistral,
		defaults: defaults{normEps: 1e-6, act: "hidden_act", activation: "silu", pad: -1, theta: 1e4, positions: 131072, window: 4096, keyHeads: true},
	},
	"qwen2": {
		class: "Qwen2", windows: true, tags: true, answers: true, prefixes: transformer, read: readQwen2,
		defaults: defaults{normEps: 1e-6, act: "hidden_act", activation: "silu", pad: -1, theta: 1e4, positions: 32768, window: 4096, keyHeads: true},
	},
	"qwen3": {
		class: "Qwen3", windows: true, tags: true, answers: true, prefixes: transformer, read: readQwen3,
		defaults: defaults{normEps: 1e-6, act: "hidden_act", activation: "silu", pad: -1, theta: 1e4, positions: 32768, window: 4096, keyHeads: true, headDim: true},
	},
	"smollm3": {
		class: "SmolLM3", windows: true, tags: true, answers: true, prefixes: transformer, read: readSmolLM3,
		defaults: defaults{normEps: 1e-6, act: "hidden_act", activation: "silu", pad: 128004, tied: true, theta: 2e6, positions: 32768, keyHeads: true},
	},
	"gemma": {
		class: "Gemma", tags: true, read: readGemma,
		defaults: defaults{normEps: 1e-6, act: "hidden_act", activation: "gelu_pytorch_tanh", tied: true, theta: 1e4, positions: 8192, keyHeads: true, headDim: true},
	},
	"gemma2": {
		class: "Gemma2", windows: true, tags: true, read: readGemma2,
		defaults: defaults{normEps: 1e-6, act: "hidden_activation", activation: "gelu_pytorch_tanh", tied: true, theta: 1e4, positions: 8192, window: 4096, keyHeads: true, headDim: true},
	},
	"gemma3_text": {
		class: "Gemma3Text", windows: true, lm: "Gemma3ForCausalLM", read: readGemma3,
		defaults: defaults{normEps: 1e-6, act: "hidden_activation", activation: "gelu_pytorch_tanh", tied: true, theta: 1e6, positions: 131072, window: 4096, keyHeads: true, headDim: true},
	},
	"phi3": {
		class: "Phi3", windows: true, tags: true, read: readPhi3,
		defaults: defaults{normEps: 1e-5, act: "hidden_act", activation: "silu", pad: 32000, theta: 1e4, positions: 4096, parts: true},
	},
	"olmo2": {
		class: "Olmo2", read: readOlmo2,
		defaults: defaults{normEps: 1e-5, act: "hidden_act", activation: "silu", pad: 1, theta: 1e4, positions: 2048},
	},
}

// transformer is what transformers calls some backbones under the head of QUESTION_ANS.
var transformer = map[models.Task]string{models.QuestionAns: "transformer."}

// readLlama reads what Llama alone has. (pretraining_tp has no effect in transformers.)
func readLlama(r *reader) {
	r.attentionBias()
	r.mlpBias = r.BoolOr("mlp_bias", false)
	r.turnAll(r.ropeSizes())
}

// readMistral: a window on all layers.
func readMistral(r *reader) {
	r.turnAll(r.ropeSizes())
	r.slide(r.window(), func(int) bool { return true })
}

// readQwen2: biases of queries, keys and values, a window on the last layers.
func readQwen2(r *reader) {
	r.qkvBias = true
	r.turnAll(r.ropeSizes())
	r.slideLast()
}

// readQwen3: queries and keys are normalised instead.
func readQwen3(r *reader) {
	r.attentionBias()
	r.qkNorm = normOfHeads
	r.turnAll(r.ropeSizes())
	r.slideLast()
}

// readSmolLM3: some layers know no positions, and may have a window.
func readSmolLM3(r *reader) {
	r.attentionBias()
	r.mlpBias = r.BoolOr("mlp_bias", false)
	r.turnAll(r.ropeSizes())
	interval := r.SizeOr("no_rope_layer_interval", 4)
	turns := make([]int, r.Layers)
	for i := range turns {
		turns[i] = min(1, (i+1)%interval)
	}
	if turns = r.IntsOr("no_rope_layers", turns); len(turns) != len(r.layers) {
		r.Reject("no_rope_layers", "one number a layer")
		return
	}
	for i, turn := range turns {
		if turn == 0 {
			r.layers[i].rope = nil
		}
	}
	window := 0
	if r.BoolOr("use_sliding_window", false) {
		window = r.window()
	}
	r.slideAsTypes(window, func(i int) bool { return window > 0 && turns[i] == 0 })
}

// readGemma: word embeddings times √d, norms that multiply by 1 + weight. hidden_act "gelu" of
// the first releases means the approximation by tanh (configuration_gemma.py).
func readGemma(r *reader) {
	r.gemma()
	if r.StringOr("hidden_act", "") == "gelu" {
		r.activation, _ = layer.GatedActivationOf("gelu_pytorch_tanh")
	}
	r.turnAll(r.ropeSizes())
}

// readGemma2: norms after attention and network too, capped scores and logits, a window on
// every other layer.
func readGemma2(r *reader) {
	r.gemma()
	r.sandwich()
	r.scaleOf("query_pre_attn_scalar", 256)
	r.softCap, r.logitCap = r.cap("attn_logit_softcapping", 50), r.cap("final_logit_softcapping", 30)
	r.turnAll(r.ropeSizes())
	r.slideAsTypes(r.window(), func(i int) bool { return i%2 == 0 })
}

// readGemma3: queries and keys are normalised instead of capped, five of six layers have a
// window and turn by frequencies of their own. (Scores of its text models are not capped,
// whatever the config says: modeling_gemma3.py.)
func readGemma3(r *reader) {
	r.gemma()
	r.sandwich()
	r.qkNorm = normOfHeads
	r.scaleOf("query_pre_attn_scalar", 256)
	if r.Has("final_logit_softcapping") {
		r.logitCap = r.cap("final_logit_softcapping", 0)
	}
	pattern := r.SizeOr("sliding_window_pattern", 6)
	r.slideAsTypes(r.window(), func(i int) bool { return (i+1)%pattern != 0 })
	r.turnByTypes()
}

// readPhi3: linears that are fused, a part of each head that is turned. (transformers refuses
// other kinds of rotary embeddings, or takes them for longrope: configuration_phi3.py.)
func readPhi3(r *reader) {
	r.fused = true
	r.residualDropout, r.embedDropout = r.ProbabilityOr("resid_pdrop", 0), 0
	sizes := r.ropeSizes()
	sizes.Original = r.SizeOr("original_max_position_embeddings", 4096)
	parameters := layer.RopeParameters(r.ConfigReader)
	if key, name := layer.RopeType(parameters); name != "default" && name != "longrope" {
		parameters.Reject(key, "default or longrope")
		return
	}
	r.turnAll(sizes)
	r.Switch = r.ropeSwitch()
	r.slide(r.window(), func(int) bool { return true })
}

// readOlmo2: norms after attention and network only, and of all queries and all keys.
func readOlmo2(r *reader) {
	r.attentionBias()
	r.qkNorm = normOfAll
	r.norms = normNames{attentionOut: "post_attention_layernorm", mlpOut: "post_feedforward_layernorm"}
	r.turnAll(r.ropeSizes())
}

func (r *reader) attentionBias() {
	r.qkvBias = r.BoolOr("attention_bias", false)
	r.outputBias = r.qkvBias
}

func (r *reader) gemma() {
	r.attentionBias()
	r.normOffset, r.embedScale = 1, float32(math.Sqrt(float64(r.Hidden)))
	if r.BoolOr("use_bidirectional_attention", false) {
		r.Reject("use_bidirectional_attention", "false")
	}
}

// sandwich puts norms before and after attention and network.
func (r *reader) sandwich() {
	r.norms = normNames{"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"}
}

// scaleOf reads a number whose inverse root scales the scores.
func (r *reader) scaleOf(key string, def float64) {
	r.scale = float32(1 / math.Sqrt(r.positive(key, def)))
}

func (r *reader) positive(key string, def float64) float64 {
	x := r.FloatOr(key, def)
	if !(x > 0) || math.IsInf(x, 0) {
		r.Reject(key, "a number above 0")
		return 1
	}
	return x
}

// cap reads a cap; null is none.
func (r *reader) cap(key string, def float64) float32 {
	if r.given(key) && !r.Has(key) {
		return 0
	}
	return float32(r.positive(key, def))
}

// window reads the width of the sliding window; null is none.
func (r *reader) window() int {
	if r.given("sliding_window") && !r.Has("sliding_window") || r.absent.window == 0 && !r.Has("sliding_window") {
		return 0
	}
	return r.SizeOr("sliding_window", r.absent.window)
}

// slide gives some layers a window, of no width none.
func (r *reader) slide(width int, slides func(layer int) bool) {
	for i := range r.layers {
		if slides(i) {
			r.layers[i].window = width
		}
	}
}

// slideAsTypes gives the layers a window that layer_types say, or that slide without it.
func (r *reader) slideAsTypes(width int, slides func(layer int) bool) {
	const key, sliding, full = "layer_types", "sliding_attention", "full_attention"
	types := r.StringsOr(key, nil)
	if types == nil {
		for i := range r.layers {
			types = append(types, map[bool]string{true: sliding, false: full}[slides(i)])
		}
	}
	if len(types) != len(r.layers) {
		r.Reject(key, fmt.Sprintf("one for each of the %d layers", len(r.layers)))
		return
	}
	for i, t := range types {
		switch {
		case t == full:
		case t != sliding:
			r.Reject(key, sliding+" and "+full+" only")
			return
		case width == 0:
			r.Reject("sliding_window", "a width, with use_sliding_window where there is one: layers have the window")
			return
		default:
			r.layers[i].window = width
		}
	}
}

// slideLast is the window of Qwen: of the layers from max_window_layers on, if there is one.
func (r *reader) slideLast() {
	width := 0
	if r.BoolOr("use_sliding_window", false) {
		width = r.window()
	}
	first := r.IntOr("max_window_layers", 28)
	r.slideAsTypes(width, func(i int) bool { return width > 0 && i >= first })
}

func (r *reader) ropeSizes() layer.RopeSizes {
	sizes := layer.RopeSizes{
		Head:         r.HeadDim,
		Theta:        r.FloatOr("rope_theta", r.absent.theta),
		Part:         r.FloatOr("partial_rotary_factor", 1),
		Whole:        !r.absent.parts,
		MaxPositions: r.SizeOr("max_position_embeddings", r.absent.positions),
		Original:     r.SizeOr("original_max_position_embeddings", 0),
	}
	if sizes.Whole && sizes.Part != 1 {
		r.Reject("partial_rotary_factor", "1: in transformers this model turns whole heads")
		sizes.Part = 1
	}
	return sizes
}

// turnAll gives all layers the same rotary embedding.
func (r *reader) turnAll(sizes layer.RopeSizes) {
	rope := layer.ReadRope(layer.RopeParameters(r.ConfigReader), sizes)
	for i := range r.layers {
		r.layers[i].rope = rope
	}
}

// ropeSwitch returns the length behind which all layers are turned otherwise; 0: none. Where a
// text grows over it Phi-3 reads it anew; other models keep in their caches what was turned before.
// Source: transformers 5.23, modeling_phi3.py, prepare_inputs_for_generation.
func (r *reader) ropeSwitch() int {
	if len(r.layers) == 0 || r.layers[0].rope == nil {
		return 0
	}
	return r.layers[0].rope.Switch
}

// turnByTypes gives layers with a window other frequencies than those without: under the
// types of rope_parameters, or as rope_local_base_freq and rope_scaling of older configs.
func (r *reader) turnByTypes() {
	nested, _ := r.Sub("rope_parameters")
	full, _ := nested.Sub("full_attention")
	if scaling, ok := r.Sub("rope_scaling"); ok {
		if len(full.Keys()) > 0 {
			r.Reject("rope_scaling", "null where rope_parameters are given")
		}
		full = scaling
	}
	windowed, _ := nested.Sub("sliding_attention")
	sizes := r.ropeSizes()
	sizes.Original, sizes.Nested = 0, true // transformers looks for it where all layers turn alike
	everywhere := layer.ReadRope(full, sizes)
	sizes.Theta = r.FloatOr("rope_local_base_freq", 1e4)
	local := layer.ReadRope(windowed, sizes)
	for i := range r.layers {
		r.layers[i].rope = everywhere
		if r.layers[i].window > 0 {
			r.layers[i].rope = local
		}
	}
}
