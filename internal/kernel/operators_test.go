package kernel_test

import (
	"math"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
)

func TestLinear(t *testing.T) {
	weight, bias := numtest.Normal(1, 7*5, 1), numtest.Normal(2, 7, 1)
	for _, tt := range []struct {
		name string
		rows int
		bias []float32
	}{{"bias", 9, bias}, {"one row", 1, bias}, {"no bias", 4, nil}, {"many rows", 700, bias}} {
		t.Run(tt.name, operatorCase{
			inputs: []input{random("x", tt.rows, 5)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.Linear(x[0], kernel.NewWeight(5, kernel.Float32, kernel.Values{Float32: weight}), tt.bias)
			},
			reference: func(x [][]float64) []float64 {
				y := product(x[0], numtest.Wide(weight), tt.rows, 7, 5)
				if tt.bias != nil {
					addRow(y, numtest.Wide(tt.bias))
				}
				return y
			},
		}.run)
	}
}

func TestLinearParam(t *testing.T) {
	reference := func(x [][]float64) []float64 {
		y := product(x[0], x[1], 9, 6, 5)
		if len(x) == 3 {
			addRow(y, x[2])
		}
		return y
	}
	build := func(x []mat.Tensor) mat.Tensor {
		var bias *nn.Param
		if len(x) == 3 {
			bias = x[2].(*nn.Param)
		}
		return kernel.LinearParam(x[0], x[1].(*nn.Param), bias)
	}
	inputs := []input{random("x", 9, 5), random("w", 6, 5), random("b", 1, 6)}
	t.Run("bias", operatorCase{inputs: inputs, params: true, build: build, reference: reference}.run)
	t.Run("no bias", operatorCase{inputs: inputs[:2], params: true, build: build, reference: reference}.run)
}

func TestLinearParams(t *testing.T) {
	param := func(x mat.Tensor) *nn.Param { return x.(*nn.Param) }
	for _, rows := range []int{1, 40} {
		operatorCase{
			params: true,
			inputs: []input{random("x", rows, 5), random("w", 6, 5), random("b", 1, 6), random("v", 3, 5), random("u", 70, 5), random("c", 1, 70)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.LinearParams(x[0], kernel.LinearPart{Weight: param(x[1]), Bias: param(x[2])},
					kernel.LinearPart{Weight: param(x[3])}, kernel.LinearPart{Weight: param(x[4]), Bias: param(x[5])})
			},
			reference: func(x [][]float64) (y []float64) {
				first, second, third := product(x[0], x[1], rows, 6, 5), product(x[0], x[3], rows, 3, 5), product(x[0], x[4], rows, 70, 5)
				addRow(first, x[2])
				addRow(third, x[5])
				for r := range rows {
					y = append(append(append(y, first[r*6:][:6]...), second[r*3:][:3]...), third[r*70:][:70]...)
				}
				return y
			},
		}.run(t)
	}
}

func TestScaleSpans(t *testing.T) {
	operatorCase{
		inputs: []input{random("x", 5, 7)},
		build: func(x []mat.Tensor) mat.Tensor {
			return kernel.ScaleSpans(x[0], spansOf(2, 0, 3), []float32{-1.5, 9, 1})
		},
		reference: func(x [][]float64) []float64 {
			y := each(x[0][:2*7], func(v float64) float64 { return -1.5 * v })
			return append(y, x[0][2*7:]...)
		},
	}.run(t)
}

// What three layers read goes down a chain, and gets the sum of their gradients.
func TestTee(t *testing.T) {
	operatorCase{
		inputs: []input{random("x", 5, 7)},
		build: func(x []mat.Tensor) mat.Tensor {
			second := kernel.Tee(x[0])
			a, b := kernel.Tanh(x[0]), kernel.GELU(second)
			ab := kernel.Add(a, b)
			kernel.Release(a)
			kernel.Release(b)
			return kernel.Replace(ab, kernel.Add(ab, kernel.Tee(second)))
		},
		reference: func(x [][]float64) []float64 {
			return each(x[0], func(v float64) float64 { return math.Tanh(v) + v*math.Erfc(-v/math.Sqrt2)/2 + v })
		},
	}.run(t)
}

func TestAddLayerNorm(t *testing.T) {
	const d, eps = 11, 1e-5
	gamma, beta := numtest.Normal(3, d, 1), numtest.Normal(4, d, 1)
	c := operatorCase{
		build: func(x []mat.Tensor) mat.Tensor {
			var residual mat.Tensor
			if len(x) == 2 {
				residual = x[1]
			}
			return kernel.AddLayerNorm(x[0], residual, gamma, beta, eps)
		},
		reference: func(x [][]float64) []float64 {
			h := append([]float64(nil), x[0]...)
			if len(x) == 2 {
				addRow(h, x[1])
			}
			for r := 0; r < len(h); r += d {
				normalise(h[r:][:d], numtest.Wide(gamma), numtest.Wide(beta), eps)
			}
			return h
		},
	}
	trained := c
	trained.params, trained.inputs = true, []input{random("x", 6, d), random("gamma", 1, d), random("beta", 1, d)}
	trained.build = func(x []mat.Tensor) mat.Tensor {
		return kernel.AddLayerNormParam(x[0], nil, x[1].(*nn.Param), x[2].(*nn.Param), eps)
	}
	trained.reference = func(x [][]float64) []float64 {
		h := append([]float64(nil), x[0]...)
		for r := 0; r < len(h); r += d {
			normalise(h[r:][:d], x[1], x[2], eps)
		}
		return h
	}
	t.Run("trained", trained.run)
	c.inputs = []input{random("x", 6, d), random("residual", 6, d)}
	t.Run("residual", c.run)
	c.inputs = c.inputs[:1]
	t.Run("no residual", c.run)
}

func normalise(x, gamma, beta []float64, eps float64) {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	for i, v := range x {
		x[i] = (v-mean)/math.Sqrt(variance+eps)*gamma[i] + beta[i]
	}
}

func TestActivations(t *testing.T) {
	awayFromZero := random("x", 5, 13)
	for i, v := range awayFromZero.values {
		if math.Abs(float64(v)) < 0.05 { // ReLU has no derivative at 0
			awayFromZero.values[i] = 0.05
		}
	}
	for _, tt := range []struct {
		name string
		f    func(mat.Tensor) mat.Tensor
		want func(float64) float64
	}{
		{"GELU", kernel.GELU, gelu},
		{"GELUTanh", kernel.GELUTanh, geluTanh},
		{"SiLU", kernel.SiLU, silu},
		{"Tanh", kernel.Tanh, math.Tanh},
		{"SoftCap", func(x mat.Tensor) mat.Tensor { return kernel.SoftCap(x, 1.5) }, func(v float64) float64 { return 1.5 * math.Tanh(v/1.5) }},
		{"ReLU", kernel.ReLU, func(v float64) float64 { return max(v, 0) }},
	} {
		t.Run(tt.name, operatorCase{
			inputs:    []input{awayFromZero},
			build:     func(x []mat.Tensor) mat.Tensor { return tt.f(x[0]) },
			reference: func(x [][]float64) []float64 { return each(x[0], tt.want) },
		}.run)
	}
}

func silu(v float64) float64 { return v * logistic(v) }

func gelu(v float64) float64 { return v * math.Erfc(-v/math.Sqrt2) / 2 }

func geluTanh(v float64) float64 {
	return v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))) / 2
}

func TestGated(t *testing.T) {
	const n = 13
	for _, tt := range []struct {
		name string
		f    func(mat.Tensor) mat.Tensor
		want func(float64) float64
	}{
		{"GatedSiLU", kernel.GatedSiLU, silu},
		{"GatedGELU", kernel.GatedGELU, gelu},
		{"GatedGELUTanh", kernel.GatedGELUTanh, geluTanh},
	} {
		t.Run(tt.name, operatorCase{
			inputs: []input{random("x", 5, 2*n)},
			build:  func(x []mat.Tensor) mat.Tensor { return tt.f(x[0]) },
			reference: func(x [][]float64) (y []float64) {
				for r := range 5 {
					for i := range n {
						y = append(y, tt.want(x[0][r*2*n+i])*x[0][r*2*n+n+i])
					}
				}
				return y
			},
		}.run)
	}
}

func TestRowsOperators(t *testing.T) {
	spans := []kernel.Span{{0, 3}, {3, 4}, {4, 6}, {6, 6}, {6, 9}}
	const d = 4
	row := func(x []float64, r int) []float64 { return x[r*d:][:d] }
	tests := []operatorCase{
		{
			name:   "HeadsApart",
			inputs: []input{random("x", 2, 12)},
			build:  func(x []mat.Tensor) mat.Tensor { return kernel.HeadsApart(x[0], 2) },
			reference: func(x [][]float64) (y []float64) { // two heads of two elements
				for _, row := range [][]float64{x[0][:12], x[0][12:]} {
					for _, from := range []int{0, 6, 2, 8, 4, 10} {
						y = append(y, row[from], row[from+1])
					}
				}
				return y
			},
		},
		{
			name:      "Add",
			inputs:    []input{random("x", 9, d), random("y", 9, d)},
			build:     func(x []mat.Tensor) mat.Tensor { return kernel.Add(x[0], x[1]) },
			reference: func(x [][]float64) []float64 { return addRow(append([]float64(nil), x[0]...), x[1]) },
		},
		{
			name:   "Add of itself",
			inputs: []input{random("x", 9, d)},
			build:  func(x []mat.Tensor) mat.Tensor { return kernel.Add(x[0], x[0]) },
			reference: func(x [][]float64) []float64 {
				return each(x[0], func(v float64) float64 { return 2 * v })
			},
		},
		{
			name:   "Gather",
			inputs: []input{random("x", 5, d)},
			build:  func(x []mat.Tensor) mat.Tensor { return kernel.Gather(x[0], []int{4, 0, 4, 2, 4}) },
			reference: func(x [][]float64) (y []float64) {
				for _, r := range []int{4, 0, 4, 2, 4} {
					y = append(y, row(x[0], r)...)
				}
				return y
			},
		},
		{
			name:   "MeanRows",
			inputs: []input{random("x", 5, d)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.MeanRows(x[0], []kernel.Span{{Start: 0, End: 3}, {Start: 3, End: 4}, {Start: 4, End: 5}})
			},
			reference: func(x [][]float64) []float64 {
				y := make([]float64, 3*d)
				for i := range d {
					y[i] = (x[0][i] + x[0][d+i] + x[0][2*d+i]) / 3
				}
				copy(y[d:], x[0][3*d:])
				return y
			},
		},
		{
			name:   "Neighbours",
			inputs: []input{random("x", 5, d)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.Neighbours(x[0], []kernel.Span{{Start: 0, End: 3}, {Start: 3, End: 3}, {Start: 3, End: 4}, {Start: 4, End: 5}}, 3)
			},
			reference: func(x [][]float64) (y []float64) {
				nobody := make([]float64, d)
				for _, around := range [][3]int{{-1, 0, 1}, {0, 1, 2}, {1, 2, -1}, {-1, 3, -1}, {-1, 4, -1}} {
					for _, r := range around {
						if r < 0 {
							y = append(y, nobody...)
						} else {
							y = append(y, row(x[0], r)...)
						}
					}
				}
				return y
			},
		},
		{
			name:   "Columns",
			inputs: []input{random("x", 5, d)},
			build:  func(x []mat.Tensor) mat.Tensor { return kernel.Columns(x[0], 1, 3) },
			reference: func(x [][]float64) (y []float64) {
				for r := range 5 {
					y = append(y, row(x[0], r)[1:3]...)
				}
				return y
			},
		},
		{
			name:   "AddEmbed",
			inputs: []input{random("x", 3, d)},
			build: func(x []mat.Tensor) mat.Tensor {
				table := kernel.Lookup{Table: kernel.Values{Float32: numtest.Normal(7, 2*d, 1)}, Width: d, Index: []int{1, 0, 1}}
				return kernel.AddEmbed(x[0], table, table)
			},
			reference: func(x [][]float64) []float64 {
				y, table := append([]float64(nil), x[0]...), numtest.Wide(numtest.Normal(7, 2*d, 1))
				for i, r := range []int{1, 0, 1} {
					addRow(y[i*d:][:d], each(row(table, r), func(v float64) float64 { return 2 * v }))
				}
				return y
			},
		},
		{
			name:   "InsertRows",
			inputs: []input{random("x", 9, d), random("prompt A", 2, d), random("prompt B", 3, d)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.InsertRows(x[0], spans, []kernel.Insertion{{Prompt: x[1]}, {Prompt: x[2]}, {}, {Prompt: x[1]}, {Prompt: x[1]}})
			},
			reference: func(x [][]float64) (y []float64) {
				for i, prompt := range [][]float64{x[1], x[2], nil, x[1], x[1]} {
					y = append(y, prompt...)
					y = append(y, x[0][spans[i].Start*d:spans[i].End*d]...)
				}
				return y
			},
		},
		{
			name:   "InsertRows in the place of rows",
			inputs: []input{random("x", 7, d), random("prompt A", 2, d), random("prompt B", 3, d)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.InsertRows(x[0], []kernel.Span{{0, 4}, {4, 4}, {4, 6}, {6, 7}}, []kernel.Insertion{
					{Prompt: x[1], At: []int{1, -1, 0, 1}}, {Prompt: x[2]}, {Prompt: x[2], At: []int{-1, 1}}, {Prompt: x[1], At: []int{0}},
				})
			},
			reference: func(x [][]float64) (y []float64) {
				for _, from := range [][2]int{{1, 1}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2}, {0, 4}, {2, 1}, {1, 0}} {
					y = append(y, x[from[0]][from[1]*d:][:d]...)
				}
				return y
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestTaskPrompts(t *testing.T) {
	const tasks, p, r, d = 3, 2, 2, 5
	asked := []int{2, 0}
	operatorCase{
		name:   "TaskPrompts",
		inputs: []input{random("x", p, d), random("left", tasks*p, r), random("right", tasks*r, d)},
		build: func(x []mat.Tensor) mat.Tensor {
			return kernel.TaskPrompts(x[0], x[1], x[2], asked)
		},
		reference: func(x [][]float64) (y []float64) {
			for _, task := range asked {
				for i := range p {
					for j := range d {
						var sum float64
						for k := range r {
							sum += x[1][(task*p+i)*r+k] * x[2][(task*r+k)*d+j]
						}
						y = append(y, x[0][i*d+j]*sum)
					}
				}
			}
			return y
		},
	}.run(t)
}

func TestEmbedTrained(t *testing.T) {
	const d = 4
	words, types := []int{4, 0, 4, 2}, []int{1, 1, 1, 0}
	scaled := func(v float64) float64 { return 1.5 * v }
	lookup := func(x mat.Tensor, index []int) kernel.Lookup {
		return kernel.Lookup{Table: kernel.Values{Float32: kernel.Data(x)}, Width: d, Index: index, Trained: x.(*nn.Param), Scale: 1.5}
	}
	t.Run("Embed", operatorCase{
		params: true,
		inputs: []input{random("x", 4, d), random("words", 5, d), random("types", 2, d)},
		build: func(x []mat.Tensor) mat.Tensor {
			return kernel.Add(x[0], kernel.Embed(nil, lookup(x[1], words), lookup(x[2], types)))
		},
		reference: func(x [][]float64) []float64 {
			y := append([]float64(nil), x[0]...)
			for i := range words {
				addRow(y[i*d:][:d], each(x[1][words[i]*d:][:d], scaled))
				addRow(y[i*d:][:d], each(x[2][types[i]*d:][:d], scaled))
			}
			return y
		},
	}.run)
	t.Run("a skipped row", func(t *testing.T) {
		table := kernel.NewParam(5, d, numtest.Normal(3, 5*d, 1))
		skipping := lookup(table, words)
		skipping.Scale, skipping.Skipped = 0, 1+4
		y := kernel.Embed(nil, skipping)
		y.AccGrad(kernel.New(len(words), d, numtest.Normal(4, len(words)*d, 1)))
		if err := ag.Backward(y); err != nil {
			t.Fatal(err)
		}
		want := make([]float32, 5*d)
		copy(want, kernel.Data(y.Grad())[d:2*d])
		copy(want[2*d:], kernel.Data(y.Grad())[3*d:])
		numtest.SameBits(t, kernel.Data(table.Grad()), want)
	})
	t.Run("AddEmbed", operatorCase{
		params: true,
		inputs: []input{random("x", 4, d), random("types", 2, d)},
		build:  func(x []mat.Tensor) mat.Tensor { return kernel.AddEmbed(x[0], lookup(x[1], types)) },
		reference: func(x [][]float64) []float64 {
			y := append([]float64(nil), x[0]...)
			for i, r := range types {
				addRow(y[i*d:][:d], each(x[1][r*d:][:d], scaled))
			}
			return y
		},
	}.run)
}

func TestEmbed(t *testing.T) {
	words, types := numtest.Normal(1, 5*3, 1), numtest.Normal(2, 2*3, 1)
	got := kernel.Embed(nil, kernel.Lookup{Table: kernel.Values{Float32: words}, Width: 3, Index: []int{4, 0, 4}},
		kernel.Lookup{Table: kernel.Values{Float32: types}, Width: 3, Index: []int{1, 1, 0}})
	var want []float32
	for i, w := range []int{4, 0, 4} {
		for c := range 3 {
			want = append(want, words[w*3+c]+types[[]int{1, 1, 0}[i]*3+c])
		}
	}
	numtest.SameBits(t, kernel.Data(got), want)
	scaled := kernel.Embed(nil, kernel.Lookup{Table: kernel.Values{Float32: words}, Width: 3, Index: []int{4}, Scale: 2})
	numtest.SameBits(t, kernel.Data(scaled), []float32{2 * words[12], 2 * words[13], 2 * words[14]})
	if got.RequiresGrad() {
		t.Error("the rows of a frozen table require a gradient")
	}
}
