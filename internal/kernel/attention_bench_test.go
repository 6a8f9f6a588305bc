package kernel_test

import (
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// The figure counts the products of queries, keys and values that are needed: two of [T, S, k]
// forward and five backward, causal ones without what no query sees.
func BenchmarkAttention(b *testing.B) {
	repeated := func(n, rows, past int) (lengths, pasts []int) {
		for range n {
			lengths, pasts = append(lengths, rows), append(pasts, past)
		}
		return lengths, pasts
	}
	shape := func(options kernel.AttentionOptions, size, sequences, rows, past int) attentionShape {
		a := attentionShape{AttentionOptions: options, size: size}
		a.lengths, a.pasts = repeated(sequences, rows, min(past, 1)-1)
		if past > 0 {
			a.pastRows = []int{past}
		}
		return a
	}
	for _, bench := range []struct {
		name  string
		shape attentionShape
	}{
		{"16x128,heads=12x32,past=20", shape(kernel.AttentionOptions{Heads: 12}, 32, 16, 128, 20)},
		{"8x128,heads=12x64", shape(kernel.AttentionOptions{Heads: 12}, 64, 8, 128, 0)},
		{"1x2048,heads=9of3x64,causal", shape(kernel.AttentionOptions{Heads: 9, KeyHeads: 3, Causal: true}, 64, 1, 2048, 0)},
		{"1x1,heads=9of3x64,past=1000", shape(kernel.AttentionOptions{Heads: 9, KeyHeads: 3, Causal: true}, 64, 1, 1, 1000)},
	} {
		for _, backward := range []bool{false, true} {
			name := bench.name + "/forward"
			if backward {
				name = bench.name + "/both"
			}
			b.Run(name, func(b *testing.B) { bench.shape.benchmark(b, backward) })
		}
	}
}

func (a attentionShape) benchmark(b *testing.B, backward bool) {
	var x []mat.Tensor
	for _, in := range a.inputs() {
		x = append(x, kernel.NewParam(in.rows, in.cols, in.values))
	}
	gy := numtest.Normal(4, kernel.Rows(x[0])*a.Heads*a.size, 1)
	for b.Loop() {
		y := a.build(x)
		if !backward {
			continue
		}
		y.AccGrad(kernel.New(kernel.Rows(y), kernel.Cols(y), gy))
		if err := ag.Backward(y); err != nil {
			b.Fatal(err)
		}
		for _, leaf := range x {
			leaf.ZeroGrad()
		}
	}
	products := 2.0
	if backward {
		products = 7
	}
	pairs := 0
	for i, n := range a.lengths {
		pairs += n * (n + a.rowsOfPast(i))
		if a.Causal {
			pairs -= n * (n - 1) / 2
		}
	}
	flops := 2 * products * float64(pairs*a.Heads*a.size)
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
}
