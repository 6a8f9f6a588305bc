package kernel_test

import (
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
)

func BenchmarkAttention(b *testing.B) {
	for _, s := range []struct {
		name                               string
		sequences, rows, heads, size, past int
	}{
		{"16x128 heads 12x32 past 20", 16, 128, 12, 32, 20},
		{"8x128 heads 12x64", 8, 128, 12, 64, 0},
	} {
		d := s.heads * s.size
		var spans []kernel.Span
		var past []kernel.Past
		k := kernel.NewParam(s.past, d, numtest.Normal(1, s.past*d, 1))
		v := kernel.NewParam(s.past, d, numtest.Normal(2, s.past*d, 1))
		for i := range s.sequences {
			spans = append(spans, kernel.Span{Start: i * s.rows, End: (i + 1) * s.rows})
			if s.past > 0 {
				past = append(past, kernel.Past{Keys: k, Values: v})
			} else {
				past = append(past, kernel.Past{})
			}
		}
		qkv := kernel.NewParam(s.sequences*s.rows, 3*d, numtest.Normal(3, s.sequences*s.rows*3*d, 1))
		flops := 4 * float64(s.sequences*s.rows*(s.rows+s.past)*d)
		b.Run(s.name+"/forward", func(b *testing.B) {
			for b.Loop() {
				kernel.Attention(qkv, spans, past, kernel.AttentionOptions{Heads: s.heads})
			}
			b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
		})
		b.Run(s.name+"/both", func(b *testing.B) {
			g := numtest.Normal(4, s.sequences*s.rows*d, 1)
			for b.Loop() {
				y := kernel.Attention(qkv, spans, past, kernel.AttentionOptions{Heads: s.heads})
				y.AccGrad(kernel.New(s.sequences*s.rows, d, g))
				ag.Backward(y)
				qkv.ZeroGrad()
				k.ZeroGrad()
				v.ZeroGrad()
			}
			b.ReportMetric(3.5*flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
		})
	}
}
