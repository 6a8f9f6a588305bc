package main

import (
	"math"
	"testing"
)

// countProducts adds up the products of one sequence layer by layer, as the paper's figure
// has them: an independent way to the number that flops has in closed form.
func countProducts(r row, s sizes, tokens int) (total float64) {
	matrix := func(rows, inputs, outputs int) float64 { return 2 * float64(rows) * float64(inputs) * float64(outputs) }
	virtual, rows := 0, tokens
	if r.inputLevel() {
		virtual, rows = virtualTokens, tokens+virtualTokens
	}
	product := 0.0 // all heads: scores, or the sum of values
	for i := range rows {
		keys := tokens + virtualTokens
		if r.base != miniLM && r.base != bertBase {
			keys -= rows - 1 - i // those that come later
		}
		product += matrix(1, s.Hidden, keys)
	}
	wide := 2 // matrices between hidden and intermediate size
	if r.base == smolLM2 {
		wide = 3
	}
	for layer := range s.Layers {
		projections := matrix(rows, s.Hidden, s.Hidden) + 2*matrix(rows, s.Hidden, s.Keys)
		others := matrix(rows, s.Hidden, s.Hidden) + float64(wide)*matrix(rows, s.Hidden, s.Intermediate)
		total += projections + others + 2*product
		if r.kind != training {
			continue
		}
		if layer == 0 {
			projections = matrix(virtual, s.Hidden, s.Hidden) + 2*matrix(virtual, s.Hidden, s.Keys)
		}
		total += projections + others + 4*product // dV, dP, dQ, dK
	}
	return total
}

func TestFLOPs(t *testing.T) {
	miniLM := sizes{Layers: 6, Hidden: 384, Keys: 384, Intermediate: 1536}
	decoder := sizes{Layers: 30, Hidden: 576, Keys: 192, Intermediate: 1536} // SmolLM2 without its head
	for _, c := range []struct {
		name    string
		row     row
		sizes   sizes
		lengths []int
	}{
		{"prefix", row{kind: training, method: "prefix"}, miniLM, []int{128, 128}},
		{"prompt", row{kind: training, method: "prompt"}, miniLM, []int{128}},
		{"natural", row{kind: training, method: "ptuning-mlp"}, miniLM, []int{7, 31, 12}},
		{"forward", row{kind: forward, method: "prefix"}, sizes{Layers: 12, Hidden: 768, Keys: 768, Intermediate: 3072}, []int{128}},
		{"decoder", row{kind: training, base: smolLM2, method: "prefix"}, decoder, []int{128, 3}},
		{"decoder, prompt", row{kind: training, base: gpt2, method: "prompt"}, decoder, []int{128}},
		{"first token", row{kind: generating, base: smolLM2, method: "prefix", data: firstToken}, decoder, []int{512}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := 0.0
			for _, n := range c.lengths {
				want += countProducts(c.row, c.sizes, n)
			}
			if got := c.row.flops(c.sizes, c.lengths); got != want {
				t.Errorf("flops() = %v, want %v", got, want)
			}
		})
	}
}

// By hand, for prefix tuning with 20 virtual tokens of MiniLM-L6 at 128 tokens, in millions a token:
// 6 layers of 4·384² + 2·384·1536 = 1.769472 weights, 4 operations each: 42.467328; less
// 6·384² = 0.884736 in the lowest layer; and attention 12·384·148·6 = 4.091904.
func TestFLOPsByHand(t *testing.T) {
	r := row{kind: training, method: "prefix"}
	got := r.flops(sizes{Layers: 6, Hidden: 384, Keys: 384, Intermediate: 1536}, []int{128}) / 128 / 1e6
	if want := 42.467328 - 0.884736 + 4.091904; math.Abs(got-want) > 1e-9 {
		t.Errorf("%v million operations a token, want %v", got, want)
	}
}

// A language model's head is multiplied with every row that predicts a token of the text,
// forward and backward, or with the one that a token is written behind.
func TestFLOPsOfHead(t *testing.T) {
	head := sizes{Hidden: 10, Vocab: 100}
	for _, c := range []struct {
		name string
		row  row
		want float64
	}{
		{"prompt", row{kind: training, base: gpt2, method: "prompt"}, 4 * 10 * 100 * 8},
		{"prefix: nothing predicts the first token", row{kind: training, base: gpt2, method: "prefix"}, 4 * 10 * 100 * 7},
		{"generating", row{kind: generating, base: gpt2, method: "prompt"}, 2 * 10 * 100},
		{"a classifier", row{kind: training, method: "prompt"}, 0},
	} {
		if got := c.row.flops(head, []int{8}) - c.row.flops(sizes{Hidden: 10}, []int{8}); got != c.want {
			t.Errorf("%s: flops() has %v of the head, want %v", c.name, got, c.want)
		}
	}
}

// By hand, for SmolLM2, which has 134,515,008 parameters, 35,136 of them gains of norms and none but
// those twice: 134,479,872 numbers a step. Behind 16 tokens and 20 virtual ones
// the second to fourth token read the keys and values of 37 to 39: 114·2·192·30 numbers.
func TestBytes(t *testing.T) {
	smol := sizes{Layers: 30, Hidden: 576, Keys: 192, Intermediate: 1536, Vocab: 49152}
	r := row{kind: generating, base: smolLM2, method: "prefix", data: data{batch: 1, written: 4}}
	const cached = 114 * 2 * 192 * 30
	if got, want := r.bytes(smol, []int{16}), 4.0*(4*134479872+cached); got != want {
		t.Errorf("bytes() = %v, want %v", got, want)
	}
	r.bf16, r.data.batch = true, 2
	if got, want := r.bytes(smol, []int{16, 16}), 2.0*(4*134479872+2*cached); got != want {
		t.Errorf("two in bfloat16: bytes() = %v, want %v", got, want)
	}
}

func TestNeeds(t *testing.T) {
	s := sizes{Layers: 2, Hidden: 8, Keys: 8, Intermediate: 16, Vocab: 32}
	decode := row{kind: generating, base: gpt2, method: "prefix", data: decoding}
	first := row{kind: generating, base: gpt2, method: "prefix", data: firstToken}
	for name, ok := range map[string]bool{
		"a decoding row needs bytes":               decode.needs(s, []int{16}) == decode.bytes(s, []int{16}),
		"a first token needs operations":           first.needs(s, []int{16}) == first.flops(s, []int{16}),
		"an encoder-decoder's work is not counted": row{kind: training, base: t5Small, data: translation}.needs(s, []int{16}) == 0,
		"nor is a start's":                         row{kind: starting}.needs(s, nil) == 0,
	} {
		if !ok {
			t.Error(name)
		}
	}
}
