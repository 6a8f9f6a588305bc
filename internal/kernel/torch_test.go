package kernel_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
)

// torchTensor is a tensor of the fixture; null stands for NaN.
type torchTensor struct {
	Shape []int
	Data  []float32
}

func (x *torchTensor) UnmarshalJSON(text []byte) error {
	var raw struct {
		Shape []int
		Data  []*float32
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	x.Shape = raw.Shape
	for _, v := range raw.Data {
		if v == nil {
			x.Data = append(x.Data, float32(math.NaN()))
			continue
		}
		x.Data = append(x.Data, *v)
	}
	return nil
}

// torchCase is one case of testdata/torch.json, which
// compat_test/oracle/kernel_fixtures.py makes.
type torchCase struct {
	Inputs, Gradients map[string]torchTensor
	Value, Weight     torchTensor
	Gamma, Beta       torchTensor
	Lengths, Starts   []int
	Ends              []int
	Heads, Length     int
	KeyHeads          int `json:"key_heads"`
	Causal            bool
	Bias              *torchTensor
	Zero              int
	Eps               float32
	Targets           json.RawMessage
	leaves            map[string]*nn.Param
}

func readTorch(t *testing.T) map[string]*torchCase {
	t.Helper()
	text, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		MadeBy string `json:"made_by"`
		Cases  map[string]*torchCase
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	t.Log("expected values by", file.MadeBy)
	return file.Cases
}

// leaf returns the input as a parameter: a vector is one row, and what has three
// dimensions is folded into rows.
func (c *torchCase) leaf(name string) *nn.Param {
	x, cols := c.Inputs[name], 1
	if n := len(x.Shape); n > 0 {
		cols = x.Shape[n-1]
	}
	c.leaves[name] = kernel.NewParam(len(x.Data)/cols, cols, append([]float32(nil), x.Data...))
	return c.leaves[name]
}

func (c *torchCase) targets(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(c.Targets, into); err != nil {
		t.Fatal(err)
	}
}

func TestTorch(t *testing.T) {
	cases := readTorch(t)
	tests := map[string]func(t *testing.T, c *torchCase) mat.Tensor{
		"lstm": func(_ *testing.T, c *torchCase) mat.Tensor {
			cell := func(suffix string) kernel.LSTMCell {
				return kernel.LSTMCell{
					InputWeight: c.leaf("weight_ih_l0" + suffix), HiddenWeight: c.leaf("weight_hh_l0" + suffix),
					InputBias: c.leaf("bias_ih_l0" + suffix), HiddenBias: c.leaf("bias_hh_l0" + suffix),
				}
			}
			return kernel.LSTM(c.leaf("x"), cell(""), cell("_reverse"))
		},
		"attention":                torchAttention,
		"attention_grouped_causal": torchAttention,
		"attention_bias":           torchAttention,
		"layer_norm": func(_ *testing.T, c *torchCase) mat.Tensor {
			return kernel.AddLayerNorm(c.leaf("x"), c.leaf("residual"), c.Gamma.Data, c.Beta.Data, c.Eps)
		},
		"gelu":                      func(_ *testing.T, c *torchCase) mat.Tensor { return kernel.GELU(c.leaf("x")) },
		"cross_entropy":             torchCrossEntropy,
		"cross_entropy_all_ignored": torchCrossEntropy,
		"mse": func(t *testing.T, c *torchCase) mat.Tensor {
			var targets torchTensor
			c.targets(t, &targets)
			return kernel.MSE(c.leaf("x"), targets.Data)
		},
		"bce_with_logits": func(t *testing.T, c *torchCase) mat.Tensor {
			var targets torchTensor
			c.targets(t, &targets)
			return kernel.BCEWithLogits(c.leaf("x"), targets.Data)
		},
		"span_cross_entropy": func(_ *testing.T, c *torchCase) mat.Tensor {
			x := c.leaf("x")
			var spans []kernel.Span
			for at := 0; at < kernel.Rows(x); at += c.Length {
				spans = append(spans, kernel.Span{Start: at, End: at + c.Length})
			}
			return kernel.SpanCrossEntropy(x, spans, c.Starts, c.Ends)
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			build, known := tests[name]
			if !known {
				t.Fatal("no test for this case")
			}
			c.leaves = map[string]*nn.Param{}
			c.check(t, build(t, c))
		})
	}
	if len(cases) != len(tests) {
		t.Errorf("%d cases in testdata/torch.json, want %d", len(cases), len(tests))
	}
}

func torchAttention(_ *testing.T, c *torchCase) mat.Tensor {
	options := kernel.AttentionOptions{Heads: c.Heads, KeyHeads: c.KeyHeads, Causal: c.Causal}
	if c.Bias != nil {
		options.Bias = &kernel.RelativeBias{Values: c.Bias.Data, Zero: c.Zero}
	}
	var spans []kernel.Span
	at := 0
	for _, n := range c.Lengths {
		spans, at = append(spans, kernel.Span{Start: at, End: at + n}), at+n
	}
	past := kernel.Past{Keys: c.leaf("keys"), Values: c.leaf("values")}
	return kernel.Attention(c.leaf("qkv"), spans, []kernel.Past{past, past}, options)
}

func torchCrossEntropy(t *testing.T, c *torchCase) mat.Tensor {
	var targets []int
	c.targets(t, &targets)
	return kernel.CrossEntropy(c.leaf("x"), targets)
}

// check compares value and gradients with torch's, which computed in float64.
func (c *torchCase) check(t *testing.T, y mat.Tensor) {
	t.Helper()
	numtest.Close(t, kernel.Data(y), c.Value.Data, valueRTol, valueATol)
	y.AccGrad(kernel.New(kernel.Rows(y), kernel.Cols(y), c.Weight.Data))
	if err := ag.Backward(y); err != nil {
		t.Fatal(err)
	}
	if len(c.leaves) != len(c.Inputs) {
		t.Errorf("%d inputs used of %d", len(c.leaves), len(c.Inputs))
	}
	for name, leaf := range c.leaves {
		if !numtest.Close(t, kernel.Data(leaf.Grad()), c.Gradients[name].Data, gradientRTol, gradientATol) {
			t.Errorf("in the gradient of %s", name)
		}
	}
}
