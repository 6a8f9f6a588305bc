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
	keys := tokens + virtualTokens
	for layer := range s.Layers {
		projections := 3 * matrix(rows, s.Hidden, s.Hidden)
		others := matrix(rows, s.Hidden, s.Hidden) + 2*matrix(rows, s.Hidden, s.Intermediate)
		product := matrix(rows, s.Hidden, keys) // all heads: scores, or the sum of values
		total += projections + others + 2*product
		if r.kind != training {
			continue
		}
		if layer == 0 {
			projections = 3 * matrix(virtual, s.Hidden, s.Hidden)
		}
		total += projections + others + 4*product // dV, dP, dQ, dK
	}
	return total
}

func TestFLOPs(t *testing.T) {
	miniLM := sizes{Layers: 6, Hidden: 384, Intermediate: 1536}
	for _, c := range []struct {
		name    string
		row     row
		sizes   sizes
		lengths []int
	}{
		{"prefix", row{kind: training, method: "prefix"}, miniLM, []int{128, 128}},
		{"prompt", row{kind: training, method: "prompt"}, miniLM, []int{128}},
		{"natural", row{kind: training, method: "ptuning-mlp"}, miniLM, []int{7, 31, 12}},
		{"forward", row{kind: forward, method: "prefix"}, sizes{Layers: 12, Hidden: 768, Intermediate: 3072}, []int{128}},
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
	got := r.flops(sizes{Layers: 6, Hidden: 384, Intermediate: 1536}, []int{128}) / 128 / 1e6
	if want := 42.467328 - 0.884736 + 4.091904; math.Abs(got-want) > 1e-9 {
		t.Errorf("%v million operations a token, want %v", got, want)
	}
}
