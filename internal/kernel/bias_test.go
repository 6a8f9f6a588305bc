package kernel_test

import (
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
)

// TestAddBias compares two biases of some rows and columns with their definition in float64.
func TestAddBias(t *testing.T) {
	const rows, out = 9, 12
	frozen := numtest.Normal(1, 5, 1)
	operatorCase{
		inputs: []input{random("x", rows, out), random("own", 1, 5), random("shift", 1, out)},
		params: true,
		build: func(x []mat.Tensor) mat.Tensor {
			return kernel.AddBias(x[0],
				kernel.Bias{Values: x[1], Scale: 1, Frozen: frozen, Column: 4, Rows: []kernel.Span{{Start: 1, End: 3}, {Start: 7, End: rows}}},
				kernel.Bias{Values: x[2], Scale: 0.25, Rows: []kernel.Span{{Start: 0, End: rows}}})
		},
		reference: func(x [][]float64) []float64 {
			y := append([]float64(nil), x[0]...)
			for r := range rows {
				for o := range out {
					if o >= 4 && o < 9 && (r == 1 || r == 2 || r >= 7) {
						y[r*out+o] += x[1][o-4] - float64(frozen[o-4])
					}
					y[r*out+o] += 0.25 * x[2][o]
				}
			}
			return y
		},
	}.run(t)
}
