package layer_test

import (
	"math"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models/layer"
)

// TestMagnitudesUnderDropout compares two magnitudes of linears side by side, each with a dropout of its
// own, and their gradients, with PEFT's formula in float64:
// y = x·Wᵀ + b + (m/n - 1)·(x̃·Wᵀ) + m/n·scale·x̃·Aᵀ·Bᵀ, of which n = ‖W + scale·B·A‖ is a constant.
// Source: peft 0.21.2, tuners/lora/variants.py, DoraLinearVariant.forward.
func TestMagnitudesUnderDropout(t *testing.T) {
	const rows, in, out, low, p, scale = 6, 5, 4, 2, 0.4, 0.5
	names := []string{"q", "k", "v"}
	var tensors []hfio.Tensor
	var weight, bias []float64 // of all three
	for i, name := range names {
		w, b := numtest.Normal(uint64(i), out*in, 1), numtest.Normal(uint64(i+9), out, 1)
		tensors = append(tensors, hfio.NewFloat32(name+".weight", []int{out, in}, w), hfio.NewFloat32(name+".bias", []int{out}, b))
		weight, bias = append(weight, numtest.Wide(w)...), append(bias, numtest.Wide(b)...)
	}
	linear := layer.NewWeights(opened(t, tensors), kernel.Float32, "").Stacked(out, in, names...)

	shapes := [][2]int{{rows, in}, {low, in}, {out, low}, {1, out}, {low, in}, {out, low}, {1, out}} // x, then A, B, m of q and of v
	var params []*nn.Param
	var values []float64 // of all of them
	for i, s := range shapes {
		v := numtest.Normal(uint64(i+20), s[0]*s[1], 1)
		params, values = append(params, kernel.NewParam(s[0], s[1], v)), append(values, numtest.Wide(v)...)
	}
	delta := func(of []*nn.Param) layer.Delta {
		return layer.Delta{A: of[0], B: of[1], Scale: scale, Dropout: p, Magnitude: &layer.Magnitude{Values: of[2]}}
	}
	deltas := &layer.Deltas{
		Groups:  []layer.DeltaGroup{{Of: map[string]layer.Delta{"q": delta(params[1:4]), "v": delta(params[4:7])}, Rows: []kernel.Span{{Start: 1, End: rows}}}},
		Dropout: layer.NewDropout(3),
	}
	y := linear.Forward(params[0], deltas)

	masks, drawn := [][]float64{}, layer.NewDropout(3)
	for range 2 {
		ones := kernel.New(rows, in, slices.Repeat([]float32{1}, rows*in))
		masks = append(masks, numtest.Wide(kernel.Data(kernel.Dropout(ones, drawn.Mask(p)))))
	}
	norms := [2][]float64{}
	reference := func(values []float64) []float64 {
		var parts [][]float64
		for _, s := range shapes {
			parts, values = append(parts, values[:s[0]*s[1]]), values[s[0]*s[1]:]
		}
		x, result := parts[0], make([]float64, rows*3*out)
		for r := range rows {
			for o := range 3 * out {
				result[r*3*out+o] = numtest.Dot(x[r*in:][:in], weight[o*in:][:in]) + bias[o]
			}
		}
		for d, part := range []int{0, 2} {
			a, b, m := parts[1+3*d], parts[2+3*d], parts[3+3*d]
			for o := range out {
				w := weight[(part*out+o)*in:][:in]
				added := make([]float64, in)
				for k := range low {
					for i := range in {
						added[i] += scale * b[o*low+k] * a[k*in+i]
					}
				}
				if len(norms[d]) == o {
					sum := 0.0
					for i := range in {
						sum += (w[i] + added[i]) * (w[i] + added[i])
					}
					norms[d] = append(norms[d], math.Sqrt(sum))
				}
				g := m[o] / norms[d][o]
				for r := 1; r < rows; r++ {
					for i := range in {
						dropped := x[r*in+i] * masks[d][r*in+i]
						result[r*3*out+part*out+o] += (g-1)*dropped*w[i] + g*dropped*added[i]
					}
				}
			}
		}
		return result
	}
	numtest.Close(t, kernel.Data(y), reference(values), 1e-5, 1e-5)

	of := numtest.Normal(99, rows*3*out, 1)
	y.AccGrad(kernel.New(rows, 3*out, of))
	if err := ag.Backward(y); err != nil {
		t.Fatal(err)
	}
	want := numtest.Derivative(values, func() float64 { return numtest.Dot(reference(values), of) })
	for i, p := range params {
		n := shapes[i][0] * shapes[i][1]
		numtest.Close(t, kernel.Data(p.Grad()), want[:n], 1e-4, 1e-4)
		want = want[n:]
	}
}

// opened returns a checkpoint of these tensors.
func opened(t *testing.T, tensors []hfio.Tensor) *hfio.Checkpoint {
	t.Helper()
	data, err := hfio.EncodeSafeTensors(nil, tensors)
	if err != nil {
		t.Fatal(err)
	}
	c, err := hfio.OpenModel(fstest.MapFS{
		"config.json":       {Data: []byte(`{"model_type": "x"}`)},
		"model.safetensors": {Data: data},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
