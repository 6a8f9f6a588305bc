package kernel_test

import (
	"math"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/mat"
)

const lstmIn, lstmHidden = 3, 4

func lstmInputs(rows, cells int) []input {
	inputs := []input{random("x", rows, lstmIn)}
	for _, direction := range []string{"forward ", "reverse "}[:cells] {
		inputs = append(inputs,
			random(direction+"weight_ih", 4*lstmHidden, lstmIn), random(direction+"weight_hh", 4*lstmHidden, lstmHidden),
			random(direction+"bias_ih", 1, 4*lstmHidden), random(direction+"bias_hh", 1, 4*lstmHidden))
	}
	return inputs
}

func buildLSTM(x []mat.Tensor) mat.Tensor {
	p := params(x[1:])
	var cells []kernel.LSTMCell
	for ; len(p) > 0; p = p[4:] {
		cells = append(cells, kernel.LSTMCell{InputWeight: p[0], HiddenWeight: p[1], InputBias: p[2], HiddenBias: p[3]})
	}
	return kernel.LSTM(x[0], cells...)
}

// referenceLSTM follows the equations in the documentation of torch.nn.LSTM.
func referenceLSTM(x [][]float64) []float64 {
	rows, cells := len(x[0])/lstmIn, (len(x)-1)/4
	y := make([]float64, rows*cells*lstmHidden)
	for n := range cells {
		wih, whh, bih, bhh := x[1+4*n], x[2+4*n], x[3+4*n], x[4+4*n]
		h, c := make([]float64, lstmHidden), make([]float64, lstmHidden)
		for step := range rows {
			t := step
			if n == 1 {
				t = rows - 1 - step
			}
			gates := addRow(product(x[0][t*lstmIn:][:lstmIn], wih, 1, 4*lstmHidden, lstmIn), bih)
			addRow(gates, product(h, whh, 1, 4*lstmHidden, lstmHidden))
			addRow(gates, bhh)
			for j := range lstmHidden {
				i, f := logistic(gates[j]), logistic(gates[lstmHidden+j])
				g, o := math.Tanh(gates[2*lstmHidden+j]), logistic(gates[3*lstmHidden+j])
				c[j] = f*c[j] + i*g
				h[j] = o * math.Tanh(c[j])
			}
			copy(y[(t*cells+n)*lstmHidden:], h)
		}
	}
	return y
}

func TestLSTM(t *testing.T) {
	for _, tt := range []struct {
		name        string
		rows, cells int
	}{{"bidirectional", 6, 2}, {"one direction", 5, 1}, {"one row", 1, 2}} {
		t.Run(tt.name, operatorCase{inputs: lstmInputs(tt.rows, tt.cells), params: true, build: buildLSTM, reference: referenceLSTM}.run)
	}
}

// Saturated gates neither overflow nor give NaN.
func TestLSTMSaturates(t *testing.T) {
	c := operatorCase{inputs: lstmInputs(4, 2), params: true, build: buildLSTM}
	for i := range c.inputs[0].values {
		c.inputs[0].values[i] *= 1e6
	}
	got := c.execute(t, all, leaf)
	for _, values := range append(got.gradients, got.value) {
		for _, v := range values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("%v among %v", v, values)
			}
		}
	}
	numtest.Close(t, got.gradients[0], make([]float32, len(got.gradients[0])), 0, 1)
}
