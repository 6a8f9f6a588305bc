package kernel_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
)

// stack is an encoder of BERT's shape with frozen weights, whose only trained
// part is a prefix of keys and values for all layers.
type stack struct {
	hidden, heads int
	layers        []stackLayer
	prefix        *nn.Param // [P, L·2·d]
	pool          *kernel.Pool
	checkpointing bool
}

type stackLayer struct {
	qkv, output, up, down *kernel.Weight
	bias, gamma           []float32 // long enough for every use
}

func newStack(layers, hidden, heads, inner, virtual int, precision kernel.Precision) *stack {
	weight := func(seed uint64, out, in int) *kernel.Weight {
		return kernel.NewWeight(in, precision, kernel.Values{Float32: numtest.Normal(seed, out*in, 1/math.Sqrt(float64(in)))})
	}
	s := &stack{hidden: hidden, heads: heads}
	for i := range layers {
		seed := uint64(10 * i)
		s.layers = append(s.layers, stackLayer{
			qkv: weight(seed, 3*hidden, hidden), output: weight(seed+1, hidden, hidden),
			up: weight(seed+2, inner, hidden), down: weight(seed+3, hidden, inner),
			bias: numtest.Normal(seed+4, max(inner, 3*hidden), 0.1), gamma: numtest.Normal(seed+5, hidden, 1),
		})
	}
	width := layers * 2 * hidden
	s.prefix = kernel.NewParam(virtual, width, numtest.Normal(7, virtual*width, 1))
	return s
}

// forward encodes values [R, d]; drop is the probability of dropout.
func (s *stack) forward(values []float32, spans []kernel.Span, drop float32) mat.Tensor {
	d := s.hidden
	rows := kernel.Lookup{Table: kernel.Values{Float32: values}, Width: d}
	for r := range len(values) / d {
		rows.Index = append(rows.Index, r)
	}
	x := mat.Tensor(kernel.Embed(s.pool, rows))
	for i, l := range s.layers {
		shared := kernel.Past{
			Keys:   kernel.Columns(s.prefix, 2*i*d, (2*i+1)*d),
			Values: kernel.Columns(s.prefix, (2*i+1)*d, (2*i+2)*d),
		}
		past := make([]kernel.Past, len(spans))
		for n := range past {
			past[n] = shared
		}
		var masks [3]kernel.Mask
		for n := range masks {
			masks[n] = kernel.Mask{P: drop, Key: uint64(3*i + n + 1)}
		}
		f := func(x mat.Tensor, past []kernel.Past) mat.Tensor { return s.layer(l, x, spans, past, masks) }
		if s.checkpointing {
			x = kernel.Replace(x, kernel.Checkpoint(x, past, f))
		} else {
			x = kernel.Replace(x, f(x, past))
		}
	}
	return x
}

func (s *stack) layer(l stackLayer, x mat.Tensor, spans []kernel.Span, past []kernel.Past, masks [3]kernel.Mask) mat.Tensor {
	d := s.hidden
	a := kernel.Linear(x, l.qkv, l.bias[:3*d])
	a = kernel.Replace(a, kernel.Attention(a, spans, past, kernel.AttentionOptions{Heads: s.heads, Drop: masks[0]}))
	a = kernel.Replace(a, kernel.Linear(a, l.output, l.bias[:d]))
	a = kernel.Replace(a, kernel.Dropout(a, masks[1]))
	middle := kernel.AddLayerNorm(a, x, l.gamma, l.bias[:d], 1e-12)
	a = kernel.Replace(a, kernel.Linear(middle, l.up, l.bias[:l.up.Out()]))
	a = kernel.Replace(a, kernel.GELU(a))
	a = kernel.Replace(a, kernel.Linear(a, l.down, l.bias[:d]))
	a = kernel.Replace(a, kernel.Dropout(a, masks[2]))
	y := kernel.AddLayerNorm(a, middle, l.gamma, l.bias[:d], 1e-12)
	kernel.Release(a)
	kernel.Release(middle)
	return y
}

// backward differentiates Σ weight·y and returns the gradient of the prefix.
func (s *stack) backward(t testing.TB, y mat.Tensor, weight []float32) []float32 {
	t.Helper()
	y.AccGrad(kernel.New(kernel.Rows(y), kernel.Cols(y), append([]float32(nil), weight...)))
	if err := ag.Backward(y); err != nil {
		t.Fatal(err)
	}
	defer s.prefix.ZeroGrad()
	return slices.Clone(kernel.Data(s.prefix.Grad()))
}

func spansOf(lengths ...int) (spans []kernel.Span) {
	at := 0
	for _, n := range lengths {
		spans = append(spans, kernel.Span{Start: at, End: at + n})
		at += n
	}
	return spans
}

// Two runs, and runs with other numbers of threads, give the same bits; the
// shapes are large enough for every operator to divide its work.
func TestStackIsDeterministic(t *testing.T) {
	s, spans := newStack(2, 64, 4, 256, 5, kernel.Float32), spansOf(70, 1, 33, 90, 6)
	x := numtest.Normal(1, 200*64, 1)
	weight := numtest.Normal(2, 200*64, 1)
	run := func() ([]float32, []float32) {
		y := s.forward(x, spans, 0.1)
		value := slices.Clone(kernel.Data(y))
		return value, s.backward(t, y, weight)
	}
	value, gradient := run()
	for _, n := range []int{1, 2, 5, 5} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", n), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
			v, g := run()
			numtest.SameBits(t, v, value)
			numtest.SameBits(t, g, gradient)
		})
	}
}

// The gradient that went through all operators is that of the forward pass.
func TestStackGradient(t *testing.T) {
	s, spans := newStack(2, 16, 4, 32, 3, kernel.Float32), spansOf(5, 1, 4)
	x := numtest.Normal(1, 160, 1)
	weight := numtest.Normal(2, 160, 0.1)
	for _, drop := range []float32{0, 0.2} {
		gradient := s.backward(t, s.forward(x, spans, drop), weight)
		loss := func() float64 { return numtest.Dot(kernel.Data(s.forward(x, spans, drop)), weight) }
		numtest.Gradient(t, []numtest.Variable{{Name: "prefix", Value: kernel.Data(s.prefix), Grad: gradient}}, loss, nil)
	}
}

// BenchmarkMiniLM runs the shape of MiniLM-L6 on 16 sequences of 128 tokens, and on 32
// short ones, with a prefix of 20, and reports tokens a second.
func BenchmarkMiniLM(b *testing.B) {
	full, short := make([]int, 16), make([]int, 32)
	for i := range full {
		full[i] = 128
	}
	for i := range short {
		short[i] = 4 + i // as long as the questions of TREC
	}
	for _, precision := range []kernel.Precision{kernel.Float32, kernel.BFloat16} {
		b.Run(precision.String()+"/full", func(b *testing.B) { benchmarkMiniLM(b, precision, full) })
		b.Run(precision.String()+"/short", func(b *testing.B) { benchmarkMiniLM(b, precision, short) })
	}
}

func benchmarkMiniLM(b *testing.B, precision kernel.Precision, lengths []int) {
	const hidden = 384
	s, spans := newStack(6, hidden, 12, 1536, 20, precision), spansOf(lengths...)
	s.pool = kernel.NewPool()
	rows := spans[len(spans)-1].End
	x := numtest.Normal(1, rows*hidden, 1)
	weight := numtest.Normal(2, rows*hidden, 1)
	b.Run("forward", func(b *testing.B) {
		s.prefix.SetRequiresGrad(false)
		defer s.prefix.SetRequiresGrad(true)
		for b.Loop() {
			s.forward(x, spans, 0)
			s.pool.Reset()
		}
		b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "tok/s")
	})
	b.Run("forward+backward", func(b *testing.B) {
		for b.Loop() {
			s.backward(b, s.forward(x, spans, 0), weight)
			s.pool.Reset()
		}
		b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "tok/s")
	})
}
