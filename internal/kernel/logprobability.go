package kernel

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// Pick is one log probability and how much it counts in a sum: that of class Col in a
// row of a group.
type Pick struct {
	Row, Col int
	Weight   float64
}

// LogProbabilities returns sums of log softmax(row) of logits [G·n, V], n rows a group:
// Σ Weight·log softmax(row)[Col] over each list of picks, for every group, [G, len(sums)].
func LogProbabilities(logits mat.Tensor, n int, sums [][]Pick) mat.Tensor {
	if n < 1 || Rows(logits)%n != 0 {
		fail("LogProbabilities", "logits %v, want groups of %d rows", logits.Shape(), n)
	}
	for i, sum := range sums {
		for _, p := range sum {
			if p.Row < 0 || p.Row >= n || p.Col < 0 || p.Col >= Cols(logits) {
				fail("LogProbabilities", "sum %d picks [%d, %d] of groups [%d, %d]", i, p.Row, p.Col, n, Cols(logits))
			}
		}
	}
	return run(&logProbabilities{x: logits, n: n, sums: sums})
}

type logProbabilities struct {
	x    mat.Tensor
	n    int // rows of a group
	sums [][]Pick
}

func (o *logProbabilities) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *logProbabilities) forward(m *memory) *Tensor {
	m.keep(o.x)
	x, v := Data(o.x), Cols(o.x)
	y := m.take(Rows(o.x)/o.n, len(o.sums))
	simd.Parallel(Rows(y), 1, func(from, to int) {
		w := workspaces.Get().(*workspace)
		defer workspaces.Put(w)
		w.reset()
		e, logSums := w.take(1, v).row(0), make([]float64, o.n)
		for g := from; g < to; g++ {
			for r := range logSums {
				copy(e, x[(g*o.n+r)*v:])
				_, logSums[r] = exponentials(e)
			}
			for i, sum := range o.sums {
				total := 0.0
				for _, p := range sum {
					total += p.Weight * (float64(x[(g*o.n+p.Row)*v+p.Col]) - logSums[p.Row])
				}
				y.data[g*len(o.sums)+i] = float32(total)
			}
		}
	})
	return y
}

// The gradient of log softmax(x)[k] is 1 at k less softmax(x).
func (o *logProbabilities) backward(m *memory, gradient []float32) {
	x, v := Data(o.x), Cols(o.x)
	gx := m.take(Rows(o.x), v)
	simd.Parallel(Rows(o.x)/o.n, 1, func(from, to int) {
		counts := make([]float64, o.n) // what the picks of a row count together
		for g := from; g < to; g++ {
			clear(counts)
			of := gradient[g*len(o.sums):][:len(o.sums)]
			for i, sum := range o.sums {
				for _, p := range sum {
					counts[p.Row] += float64(of[i]) * p.Weight
				}
			}
			for r, count := range counts {
				row := g*o.n + r
				e := gx.data[row*v:][:v]
				copy(e, x[row*v:])
				top, logSum := exponentials(e)
				scaleExponentials(e, 1, e, float32(-count*math.Exp(top-logSum)))
			}
			for i, sum := range o.sums {
				for _, p := range sum {
					gx.data[(g*o.n+p.Row)*v+p.Col] += float32(float64(of[i]) * p.Weight)
				}
			}
		}
	})
	m.accumulate(o.x, gx)
}
