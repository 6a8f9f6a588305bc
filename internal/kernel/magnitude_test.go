package kernel_test

import (
	"math"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
)

// TestRescale compares magnitudes of some rows and columns with their definition in float64.
func TestRescale(t *testing.T) {
	const rows, out = 9, 12
	bias, norms := numtest.Normal(1, 5, 1), []float32{0.5, 2, 1.5, 3, 0.25, 1, 4, 2, 0.75, 1.25, 1, 3}
	operatorCase{
		inputs: []input{random("x", rows, out), random("some", 1, 5), random("every", 1, out), random("missing", rows, out)},
		build: func(x []mat.Tensor) mat.Tensor {
			return kernel.Rescale(x[0],
				kernel.Magnitude{Values: x[1], Norms: norms[:5], Frozen: bias, Column: 4, Missing: x[3], Rows: []kernel.Span{{Start: 1, End: 3}, {Start: 7, End: 8}}},
				kernel.Magnitude{Values: x[2], Norms: norms, Rows: []kernel.Span{{Start: 3, End: 6}}})
		},
		reference: func(x [][]float64) []float64 {
			y := append([]float64(nil), x[0]...)
			for r := range rows {
				for o := range out {
					switch {
					case r >= 3 && r < 6:
						y[r*out+o] *= x[2][o] / float64(norms[o])
					case (r == 1 || r == 2 || r == 7) && o >= 4 && o < 9:
						b, f := float64(bias[o-4]), x[1][o-4]/float64(norms[o-4])
						y[r*out+o] = (y[r*out+o]-b)*f + b + x[3][r*out+o]*(f-1)
					}
				}
			}
			return y
		},
	}.run(t)
}

// TestNorms compares the lengths of a weight's rows with their definition in float64, of weights in parts.
func TestNorms(t *testing.T) {
	const in, out, low, scale = 7, 9, 2, 0.5
	weight := numtest.Normal(1, out*in, 1)
	a, b := numtest.Normal(2, low*in, 1), numtest.Normal(3, 4*low, 1)
	w := kernel.NewWeight(in, kernel.Float32, kernel.Values{Float32: weight[:3*in]}, kernel.Values{Float32: weight[3*in:]})
	got := w.Norms(kernel.LowRank{A: kernel.New(low, in, a), B: kernel.New(4, low, b), Scale: scale, Column: 2})
	delta := product(numtest.Wide(b), transposed(numtest.Wide(a), low, in), 4, in, low)
	for o := range 4 {
		sum := 0.0
		for i := range in {
			v := float64(weight[(o+2)*in+i]) + scale*delta[o*in+i]
			sum += v * v
		}
		if want := math.Sqrt(sum); math.Abs(float64(got[o])-want) > 1e-6*want {
			t.Errorf("row %d: found %v, want %v", o, got[o], want)
		}
	}
}

// transposed returns x [rows, cols] as [cols, rows].
func transposed(x []float64, rows, cols int) []float64 {
	y := make([]float64, len(x))
	for r := range rows {
		for c := range cols {
			y[c*rows+r] = x[r*cols+c]
		}
	}
	return y
}
