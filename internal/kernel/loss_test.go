package kernel_test

import (
	"math"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// nll is -log softmax(x)[target].
func nll(x []float64, target int) float64 { return -math.Log(softmax(x)[target]) }

func TestCrossEntropy(t *testing.T) {
	for _, tt := range []struct {
		name    string
		targets []int
	}{
		{"all", []int{0, 3, 2, 1, 1}},
		{"some ignored", []int{0, kernel.Ignored, 2, kernel.Ignored, 1}},
		{"one left", []int{kernel.Ignored, kernel.Ignored, kernel.Ignored, 3, kernel.Ignored}},
	} {
		t.Run(tt.name, operatorCase{
			inputs: []input{scaled("logits", 5, 4, 2)},
			build:  func(x []mat.Tensor) mat.Tensor { return kernel.CrossEntropy(x[0], tt.targets) },
			reference: func(x [][]float64) []float64 {
				sum, count := 0.0, 0.0
				for r, target := range tt.targets {
					if target != kernel.Ignored {
						sum += nll(x[0][r*4:][:4], target)
						count++
					}
				}
				return []float64{sum / count}
			},
		}.run)
	}
}

// Logits far below the largest have a gradient of nothing, not a denormal one, which slows the products down that follow.
func TestCrossEntropyHasNoDenormalGradient(t *testing.T) {
	const v, tiniest = 256, 0x1p-126
	x := make([]float32, 2*v)
	for i := range x {
		x[i] = float32(i%v) * -0.5
	}
	logits := kernel.New(2, v, x)
	logits.SetRequiresGrad(true)
	if err := ag.Backward(kernel.WeightedCrossEntropy(logits, []int{3, 200}, []float32{1e-4, 1})); err != nil {
		t.Fatal(err)
	}
	for i, got := range kernel.Data(logits.Grad()) {
		row, column := i/v, i%v
		e, weight := make([]float64, v), []float64{0.5e-4, 0.5}[row]
		for j := range e {
			e[j] = float64(x[row*v+j])
		}
		want := softmax(e)[column]
		if column == []int{3, 200}[row] {
			want--
		}
		want *= weight
		if magnitude := math.Abs(float64(got)); magnitude > 0 && magnitude < tiniest {
			t.Errorf("row %d, logit %d: %g is denormal", row, column, got)
		}
		if difference := math.Abs(float64(got) - want); difference > 0x1p-22*math.Abs(want)+0x1p-90*weight {
			t.Errorf("row %d, logit %d: %g, want %g", row, column, got, want)
		}
	}
}

func TestLogProbabilities(t *testing.T) {
	const n, v = 2, 5
	sums := [][]kernel.Pick{
		{{Row: 0, Col: 1, Weight: 1}},
		{{Row: 0, Col: 3, Weight: 0.5}, {Row: 1, Col: 3, Weight: 0.5}},
		{{Row: 1, Col: 0, Weight: 0.25}, {Row: 1, Col: 0, Weight: 0.25}, {Row: 0, Col: 1, Weight: 2}},
		{},
	}
	for _, groups := range []int{1, 3, 40} {
		operatorCase{
			inputs: []input{scaled("logits", groups*n, v, 2)},
			build:  func(x []mat.Tensor) mat.Tensor { return kernel.LogProbabilities(x[0], n, sums) },
			reference: func(x [][]float64) []float64 {
				var y []float64
				for g := range groups {
					for _, sum := range sums {
						total := 0.0
						for _, p := range sum {
							total -= p.Weight * nll(x[0][(g*n+p.Row)*v:][:v], p.Col)
						}
						y = append(y, total)
					}
				}
				return y
			},
		}.run(t)
	}
}

func TestWeightedCrossEntropy(t *testing.T) {
	targets, weights := []int{1, kernel.Ignored, 3}, []float32{0.5, 9, 2}
	operatorCase{
		inputs: []input{scaled("logits", 3, 4, 2)},
		build:  func(x []mat.Tensor) mat.Tensor { return kernel.WeightedCrossEntropy(x[0], targets, weights) },
		reference: func(x [][]float64) []float64 {
			return []float64{(0.5*nll(x[0][:4], 1) + 2*nll(x[0][8:], 3)) / 2} // their number, not the sum of the weights
		},
	}.run(t)
}

func TestSpanCrossEntropy(t *testing.T) {
	spans := []kernel.Span{{0, 4}, {4, 5}, {5, 5}, {5, 11}}
	for _, tt := range []struct {
		name         string
		starts, ends []int
	}{
		{"inside", []int{1, 0, 0, 5}, []int{3, 0, 0, 5}},
		{"beyond and negative", []int{4, 0, -1, -1}, []int{-7, 9, -1, 2}},
	} {
		t.Run(tt.name, operatorCase{
			inputs: []input{scaled("logits", 11, 2, 2)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.SpanCrossEntropy(x[0], spans, tt.starts, tt.ends)
			},
			reference: func(x [][]float64) []float64 {
				total := 0.0
				for column, positions := range [][]int{tt.starts, tt.ends} {
					sum, count := 0.0, 0.0
					for i, s := range spans {
						var scores []float64
						for r := s.Start; r < s.End; r++ {
							scores = append(scores, x[0][2*r+column])
						}
						if target := max(positions[i], 0); target < len(scores) {
							sum += nll(scores, target)
							count++
						}
					}
					total += sum / count / 2
				}
				return []float64{total}
			},
		}.run)
	}
}

func TestElementLosses(t *testing.T) {
	targets := []float32{0, 1, 0.25, 1, 0, 0.5}
	mean := func(x []float64, f func(v, target float64) float64) []float64 {
		sum := 0.0
		for i, v := range x {
			sum += f(v, float64(targets[i])) / float64(len(x))
		}
		return []float64{sum}
	}
	t.Run("MSE", operatorCase{
		inputs: []input{random("x", 3, 2)},
		build:  func(x []mat.Tensor) mat.Tensor { return kernel.MSE(x[0], targets) },
		reference: func(x [][]float64) []float64 {
			return mean(x[0], func(v, target float64) float64 { return (v - target) * (v - target) })
		},
	}.run)
	t.Run("BCEWithLogits", operatorCase{
		inputs: []input{scaled("logits", 3, 2, 3)},
		build:  func(x []mat.Tensor) mat.Tensor { return kernel.BCEWithLogits(x[0], targets) },
		reference: func(x [][]float64) []float64 {
			return mean(x[0], func(v, target float64) float64 {
				return -target*math.Log(logistic(v)) - (1-target)*math.Log(1-logistic(v))
			})
		},
	}.run)
}

// Logits of hundreds neither overflow nor lose the loss.
func TestLossesOfLargeLogits(t *testing.T) {
	logits := kernel.New(1, 2, []float32{500, -500})
	for _, tt := range []struct {
		name string
		loss mat.Tensor
		want float32
	}{
		{"CrossEntropy right", kernel.CrossEntropy(logits, []int{0}), 0},
		{"CrossEntropy wrong", kernel.CrossEntropy(logits, []int{1}), 1000},
		{"BCEWithLogits right", kernel.BCEWithLogits(logits, []float32{1, 0}), 0},
		{"BCEWithLogits wrong", kernel.BCEWithLogits(logits, []float32{0, 1}), 500},
	} {
		if got := kernel.Data(tt.loss)[0]; got != tt.want {
			t.Errorf("%s = %v, want %v", tt.name, got, tt.want)
		}
	}
}
