package kernel_test

import (
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
)

// TestLowRank compares Linear with deltas with their definition, Scale · dropped(x)·Aᵀ·Bᵀ,
// in float64. That the mask is dropout's own shows TestDropout.
func TestLowRank(t *testing.T) {
	const in, out, low = 5, 12, 3
	weight, bias := numtest.Normal(1, out*in, 1), numtest.Normal(2, out, 1)
	for _, tt := range []struct {
		name   string
		rows   int
		n      int // outputs of the delta
		column int
		spans  []kernel.Span
		p      float32
	}{
		{"all rows and columns", 9, out, 0, []kernel.Span{{Start: 0, End: 9}}, 0},
		{"some columns", 9, 4, 8, []kernel.Span{{Start: 0, End: 9}}, 0},
		{"some rows", 9, 4, 4, []kernel.Span{{Start: 1, End: 3}, {Start: 3, End: 4}, {Start: 7, End: 9}}, 0},
		{"dropout", 9, 4, 4, []kernel.Span{{Start: 0, End: 2}, {Start: 4, End: 9}}, 0.4},
		{"one row", 1, out, 0, []kernel.Span{{Start: 0, End: 1}}, 0},
		{"many rows", 700, 4, 4, []kernel.Span{{Start: 0, End: 700}}, 0.4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const scale = 0.5
			mask := kernel.Mask{P: tt.p, Key: 7}
			kept := make([]float32, tt.rows*in)
			for i := range kept {
				kept[i] = 1
			}
			factors := kernel.Data(kernel.Dropout(kernel.New(tt.rows, in, kept), mask))
			operatorCase{
				inputs: []input{random("x", tt.rows, in), random("A", low, in), random("B", tt.n, low)},
				params: true,
				build: func(x []mat.Tensor) mat.Tensor {
					return kernel.Linear(x[0], kernel.NewWeight(in, kernel.Float32, kernel.Values{Float32: weight}), bias,
						kernel.LowRank{A: x[1], B: x[2], Scale: scale, Column: tt.column, Rows: tt.spans, Drop: mask})
				},
				reference: func(x [][]float64) []float64 {
					y := product(x[0], numtest.Wide(weight), tt.rows, out, in)
					addRow(y, numtest.Wide(bias))
					for _, s := range tt.spans {
						for r := s.Start; r < s.End; r++ {
							for o := range tt.n {
								for k := range low {
									for i := range in {
										y[r*out+tt.column+o] += scale * x[2][o*low+k] * x[1][k*in+i] * x[0][r*in+i] * float64(factors[r*in+i])
									}
								}
							}
						}
					}
					return y
				},
			}.run(t)
		})
	}
}

// Two deltas of one layer, as those of queries and values: each has its own gradients.
func TestTwoLowRanks(t *testing.T) {
	const rows, in, out = 6, 5, 9
	weight := numtest.Normal(1, out*in, 1)
	all := []kernel.Span{{Start: 0, End: rows}}
	operatorCase{
		inputs: []input{random("x", rows, in), random("A", 2, in), random("B", 3, 2), random("C", 4, in), random("D", 3, 4)},
		params: true,
		build: func(x []mat.Tensor) mat.Tensor {
			return kernel.Linear(x[0], kernel.NewWeight(in, kernel.Float32, kernel.Values{Float32: weight}), nil,
				kernel.LowRank{A: x[1], B: x[2], Scale: 2, Rows: all}, kernel.LowRank{A: x[3], B: x[4], Scale: 0.25, Column: 6, Rows: all})
		},
		reference: func(x [][]float64) []float64 {
			y := product(x[0], numtest.Wide(weight), rows, out, in)
			first := product(product(x[0], x[1], rows, 2, in), x[2], rows, 3, 2)
			second := product(product(x[0], x[3], rows, 4, in), x[4], rows, 3, 4)
			for r := range rows {
				for i := range 3 {
					y[r*out+i] += 2 * first[r*3+i]
					y[r*out+6+i] += 0.25 * second[r*3+i]
				}
			}
			return y
		},
	}.run(t)
}
