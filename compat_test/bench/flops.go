package main

// sizes are what the counts need of a config.json.
type sizes struct {
	Layers       int `json:"num_hidden_layers"`
	Hidden       int `json:"hidden_size"`
	Intermediate int `json:"intermediate_size"`
}

// inputLevel are the methods that lengthen the sequence; the others lengthen the keys.
func (r row) inputLevel() bool { return r.method != "prefix" }

// flops counts the floating-point operations of the matrix products that a call on these
// sequences needs, a multiplication and an addition as two. What is not counted:
// everything element-wise, the head and the prompt's encoder (under 0.1 %), pads,
// and what an implementation computes twice.
//
// One sequence of T tokens has R rows (T, or T+P where the prompt is put before the
// input) and S = T+P keys a row. A layer's weights are 4·d² + 2·d·f. Then, for all L layers,
//
//	forward:  R·(2·(4·d²+2·d·f) + 4·d·S)
//	backward: R·(2·(4·d²+2·d·f) + 8·d·S) - (R-P')·2·3·d²
//
// The base is frozen: no weight has a gradient. The last term is the lowest layer's
// product with the weights of queries, keys and values, of whose inputs only P' have a gradient
// that is used: P virtual rows before the input, or none with a prefix.
func (r row) flops(s sizes, tokens []int) float64 {
	d, f, layers := float64(s.Hidden), float64(s.Intermediate), float64(s.Layers)
	weights := 4*d*d + 2*d*f
	total := 0.0
	for _, t := range tokens {
		keys := float64(t + virtualTokens)
		sequenceRows, prompts := float64(t), 0.0
		if r.inputLevel() {
			sequenceRows, prompts = keys, virtualTokens
		}
		total += layers * sequenceRows * (2*weights + 4*d*keys)
		if r.kind == training {
			total += layers*sequenceRows*(2*weights+8*d*keys) - (sequenceRows-prompts)*6*d*d
		}
	}
	return total
}
