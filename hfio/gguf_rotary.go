package hfio

import (
	"fmt"
	"math"
)

// finishRotary sets what the models with a rotary embedding have in common, whose heads
// are turned as a whole.
func finishRotary(c *ggufConfig) {
	c.rotary()
	turned, ok := c.lookup("rope.dimension_count")
	if size := c.headSize(); ok && turned != int64(size) {
		c.reject("rope.dimension_count", fmt.Sprintf("%d, the size of a head", size))
	}
}

func (c *ggufConfig) rotary() {
	c.values["num_key_value_heads"] = c.keyHeads()
	if _, ok := c.lookup("rope.freq_base"); !ok {
		c.values["rope_theta"] = 10000.0 // llama.cpp's own
	}
	c.ropeScaling()
}

// headSize returns the size of a head of queries.
func (c *ggufConfig) headSize() int {
	if size := c.int("attention.key_length"); size > 0 {
		return size
	}
	return c.int("embedding_length") / max(1, c.int("attention.head_count"))
}

// ropeScaling translates the scaling of the rotary embedding.
func (c *ggufConfig) ropeScaling() {
	kind, _ := c.lookup("rope.scaling.type")
	scaling := map[string]any{}
	switch kind {
	case nil, "none":
		return
	case "linear", "yarn":
		scaling["rope_type"] = kind
	default:
		c.reject("rope.scaling.type", "none, linear or yarn")
		return
	}
	factor, ok := c.lookup("rope.scaling.factor")
	if !ok {
		c.problem("rope.scaling.factor", fmt.Errorf("%w: want a number", errMissing))
	}
	scaling["factor"] = factor
	if length, ok := c.lookup("rope.scaling.original_context_length"); ok && kind == "yarn" {
		scaling["original_max_position_embeddings"] = length
	}
	c.values["rope_scaling"] = scaling
}

// finishLlama also finds biases, and the scaling of Llama 3.
func finishLlama(c *ggufConfig) {
	finishRotary(c)
	c.values["attention_bias"] = c.has("blk.0.attn_q.bias")
	c.values["mlp_bias"] = c.has("blk.0.ffn_up.bias")
	if c.has(ropeFactors) {
		c.llama3Scaling()
	}
}

// ropeFactors is the tensor that holds what Llama 3 divides the frequencies by.
const ropeFactors = "rope_freqs.weight"

// llama3Scaling finds the parameters that the divisors were made with. All models of
// Meta have the same but for the factor, which the slowest frequency is divided by;
// whether it is so is checked with the formula.
// Source: transformers, modeling_rope_utils.py, _compute_llama3_parameters.
func (c *ggufConfig) llama3Scaling() {
	const low, high, length = 1.0, 4.0, 8192.0
	found := c.floats(ropeFactors)
	if len(found) == 0 {
		return
	}
	factor := float64(found[len(found)-1])
	base, _ := c.values["rope_theta"].(float64)
	for i, divisor := range found {
		wave := 2 * math.Pi * math.Pow(base, float64(i)/float64(len(found)))
		share := min(max((length/wave-low)/(high-low), 0), 1)
		if want := 1 / ((1-share)/factor + share); math.Abs(float64(divisor)/want-1) > 1e-4 {
			c.problems.add(&TensorError{File: c.name, Name: ropeFactors, Err: &Mismatch{
				fmt.Sprintf("%g at %d", divisor, i), fmt.Sprintf("%g as in Llama 3", want), ErrUnsupported,
			}})
			return
		}
	}
	c.values["rope_scaling"] = map[string]any{
		"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
		"original_max_position_embeddings": int(length),
	}
}

// finishPhi3 also reads which part of a head is turned, and the scaling for long texts.
func finishPhi3(c *ggufConfig) {
	c.rotary()
	if turned, size := c.int("rope.dimension_count"), c.headSize(); turned > 0 && size > 0 {
		c.values["partial_rotary_factor"] = float64(turned) / float64(size)
	}
	long, short := c.floats("rope_factors_long.weight"), c.floats("rope_factors_short.weight")
	if long == nil && short == nil {
		return
	}
	c.values["rope_scaling"] = map[string]any{"rope_type": "longrope", "long_factor": long, "short_factor": short}
	if length, ok := c.lookup("rope.scaling.original_context_length"); ok {
		c.values["original_max_position_embeddings"] = length
	}
}

// finishGemma2 also sets what queries are divided by, which llama.cpp knows by the
// number of layers: the largest model takes the size of a head without key_length.
func finishGemma2(c *ggufConfig) { c.gemma(46) }

func finishGemma3(c *ggufConfig) {
	c.gemma(62)
	if base, ok := c.lookup("rope.freq_base_swa"); ok {
		c.values["rope_local_base_freq"] = base
	}
	if pattern, ok := c.lookup("attention.sliding_window_pattern"); ok {
		c.values["sliding_window_pattern"] = pattern
	}
}

func (c *ggufConfig) gemma(largest int) {
	finishRotary(c)
	c.values["query_pre_attn_scalar"] = c.headSize()
	if c.int("block_count") == largest {
		c.values["query_pre_attn_scalar"] = c.int("embedding_length") / max(1, c.int("attention.head_count"))
	}
}
