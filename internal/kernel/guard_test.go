package kernel_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/nlpodyssey/spago/nn"
)

func TestShapeErrors(t *testing.T) {
	x := func(rows, cols int) *kernel.Tensor { return kernel.New(rows, cols, nil) }
	p := func(rows, cols int) *nn.Param { return kernel.NewParam(rows, cols, nil) }
	f := func(n int) []float32 { return make([]float32, n) }
	weight := kernel.NewWeight(3, kernel.Float32, kernel.Values{Float32: f(6)})
	two := kernel.AttentionOptions{Heads: 2}
	span := []kernel.Span{{0, 4}}
	cell := kernel.LSTMCell{InputWeight: p(8, 3), HiddenWeight: p(8, 2), InputBias: p(1, 8), HiddenBias: p(1, 8)}
	wrong, wide := cell, kernel.LSTMCell{InputWeight: p(12, 3), HiddenWeight: p(12, 3), InputBias: p(1, 12), HiddenBias: p(1, 12)}
	wrong.HiddenBias = p(8, 1)
	nan := float32(math.NaN())

	table := func(index ...int) kernel.Lookup {
		return kernel.Lookup{Table: kernel.Values{Float32: f(4)}, Width: 2, Index: index}
	}
	tests := []struct {
		name, op, says string
		call           func()
	}{
		{"data", "New", "5 values for shape [2 3]", func() { kernel.New(2, 3, f(5)) }},
		{"negative", "New", "shape [-1 3] is negative", func() { kernel.New(-1, 3, nil) }},
		{"param data", "New", "5 values", func() { kernel.NewParam(2, 3, f(5)) }},
		{"gradient", "AccGrad", "gradient is [3 2], the tensor is [2 3]", func() { x(2, 3).AccGrad(x(3, 2)) }},
		{"weight data", "NewWeight", "part 0 has 5 values, want rows of 3", func() { kernel.NewWeight(3, kernel.Float32, kernel.Values{Float32: f(5)}) }},
		{"mean of nothing", "MeanRows", "sequence 1 has no rows", func() { kernel.MeanRows(x(4, 2), []kernel.Span{{0, 4}, {4, 4}}) }},
		{"even neighbours", "Neighbours", "size is 2, want an odd number", func() { kernel.Neighbours(x(4, 2), []kernel.Span{{0, 4}}, 2) }},
		{"weight parts", "NewWeight", "no parts", func() { kernel.NewWeight(3, kernel.Float32) }},
		{"linear input", "Linear", "x is [4 2], the weight is [2 3]", func() { kernel.Linear(x(4, 2), weight, nil) }},
		{"linear bias", "Linear", "bias has 3 values", func() { kernel.Linear(x(4, 3), weight, f(3)) }},
		{"trained input", "LinearParam", "x is [4 2], w is [2 3]", func() { kernel.LinearParam(x(4, 2), p(2, 3), nil) }},
		{"trained bias", "LinearParam", "b is [2 1], want [1 2]", func() { kernel.LinearParam(x(4, 3), p(2, 3), p(2, 1)) }},
		{"groups", "LogProbabilities", "want groups of 3 rows", func() { kernel.LogProbabilities(x(4, 3), 3, nil) }},
		{"pick", "LogProbabilities", "sum 0 picks [0, 3] of groups [2, 3]", func() { kernel.LogProbabilities(x(4, 3), 2, [][]kernel.Pick{{{Col: 3}}}) }},
		{"residual", "AddLayerNorm", "the residual [3 4]", func() { kernel.AddLayerNorm(x(4, 3), x(3, 4), f(3), f(3), 1) }},
		{"gamma", "AddLayerNorm", "gamma has 4 values", func() { kernel.AddLayerNorm(x(4, 3), nil, f(4), f(3), 1) }},
		{"trained gamma", "AddLayerNormParam", "gamma has 4 values", func() { kernel.AddLayerNormParam(x(4, 3), nil, p(1, 4), p(1, 3), 1) }},
		{"no linears", "LinearParam", "no parts", func() { kernel.LinearParams(x(4, 3)) }},
		{"beta", "AddLayerNorm", "beta 2", func() { kernel.AddLayerNorm(x(4, 3), nil, f(3), f(2), 1) }},
		{"rms gamma", "RMSNorm", "gamma has 4 values", func() { kernel.RMSNorm(x(4, 3), f(4), 1) }},
		{"norm of heads", "QKNorm", "not heads of one size for 2 heads", func() { kernel.QKNorm(x(4, 9), 2, 1, f(3), f(3), 1) }},
		{"norm gamma", "QKNorm", "gamma has 4 values, want 3 or 2 times that", func() { kernel.QKNorm(x(4, 12), 2, 1, f(4), f(3), 1) }},
		{"rotation rows", "Rotary", "the rotation has 3 rows of 1 pairs", func() {
			kernel.Rotary(x(4, 9), kernel.NewRotation([]int{0, 1, 2}, kernel.RotationOptions{Frequencies: f(1)}), 3, 3)
		}},
		{"rotation pairs", "Rotary", "heads of 3, the rotation has 1 rows of 2 pairs", func() {
			kernel.Rotary(x(1, 9), kernel.NewRotation([]int{0}, kernel.RotationOptions{Frequencies: f(2)}), 3, 3)
		}},
		{"rotated heads", "Rotary", "want 4 heads of 3", func() {
			kernel.Rotary(x(1, 9), kernel.NewRotation([]int{0}, kernel.RotationOptions{Frequencies: f(1)}), 4, 3)
		}},
		{"other rotation", "Rotation", "2 other pairs, want 1", func() {
			kernel.NewRotation(nil, kernel.RotationOptions{Frequencies: f(1)}).Append([]int{1}, kernel.RotationOptions{Frequencies: f(2)})
		}},
		{"no cap", "SoftCap", "the cap is 0", func() { kernel.SoftCap(x(2, 3), 0) }},
		{"heads together", "HeadsApart", "want three parts of 2 heads", func() { kernel.HeadsApart(x(2, 3), 2) }},
		{"gate", "Gated", "not two halves", func() { kernel.GatedSiLU(x(2, 3)) }},
		{"probability 1", "Dropout", "want 0 ≤ p < 1", func() { kernel.Dropout(x(1, 1), kernel.Mask{P: 1}) }},
		{"probability NaN", "Dropout", "want 0 ≤ p < 1", func() { kernel.Dropout(x(1, 1), kernel.Mask{P: nan}) }},
		{"sum", "Add", "[1 2] and [2 1] differ", func() { kernel.Add(x(1, 2), x(2, 1)) }},
		{"gather", "Gather", "index 1 is row 4, x has 4 rows", func() { kernel.Gather(x(4, 1), []int{0, 4}) }},
		{"gather negative", "Gather", "row -1", func() { kernel.Gather(x(4, 1), []int{-1}) }},
		{"columns", "Columns", "columns [1, 4) of 3", func() { kernel.Columns(x(4, 3), 1, 4) }},
		{"no columns", "Columns", "columns [1, 1) of 3", func() { kernel.Columns(x(4, 3), 1, 1) }},
		{"insert spans", "InsertRows", "cover 4 rows of 5", func() { kernel.InsertRows(x(5, 3), span, nil) }},
		{"insert gap", "InsertRows", "want one that begins at 0", func() { kernel.InsertRows(x(5, 3), []kernel.Span{{1, 5}}, nil) }},
		{"insert count", "InsertRows", "0 insertions for 1 sequences", func() { kernel.InsertRows(x(4, 3), span, nil) }},
		{"insert width", "InsertRows", "prompt 0 is [1 2]", func() { kernel.InsertRows(x(4, 3), span, []kernel.Insertion{{Prompt: x(1, 2)}}) }},
		{"insert places", "InsertRows", "places for 2 rows, its sequence has 4", func() {
			kernel.InsertRows(x(4, 3), span, []kernel.Insertion{{Prompt: x(1, 3), At: []int{0, -1}}})
		}},
		{"insert place", "InsertRows", "row 1, its prompt 1 rows", func() {
			kernel.InsertRows(x(4, 3), span, []kernel.Insertion{{Prompt: x(1, 3), At: []int{0, -1, 1, -1}}})
		}},
		{"task matrices", "TaskPrompts", "left is [4 1] and right is [1 3] for x [2 3]", func() { kernel.TaskPrompts(x(2, 3), x(4, 1), x(1, 3), nil) }},
		{"task width", "TaskPrompts", "right is [2 2]", func() { kernel.TaskPrompts(x(2, 3), x(4, 1), x(2, 2), nil) }},
		{"unknown task", "TaskPrompts", "task 1 is 2, want different ones below 2", func() { kernel.TaskPrompts(x(2, 3), x(4, 1), x(2, 3), []int{0, 2}) }},
		{"task twice", "TaskPrompts", "task 1 is 0", func() { kernel.TaskPrompts(x(2, 3), x(4, 1), x(2, 3), []int{0, 0}) }},
		{"embed rows", "Embed", "asked for 1 rows, want 2", func() {
			kernel.Embed(nil, table(0, 1), table(0))
		}},
		{"embed index", "Embed", "index 0 is row 2 of 2", func() { kernel.Embed(nil, table(2)) }},
		{"embed width", "AddEmbed", "rows of 3", func() { kernel.AddEmbed(x(1, 3), table(0)) }},
		{"embed parameter", "Embed", "its parameter is [3 2]", func() {
			kernel.Embed(nil, kernel.Lookup{Table: kernel.Values{Float32: f(4)}, Width: 2, Index: []int{0}, Trained: p(3, 2)})
		}},
		{"heads", "Attention", "not heads of one size for 2 heads", func() { kernel.Attention(x(4, 9), span, nil, kernel.AttentionOptions{Heads: 2}) }},
		{"no heads", "Attention", "heads", func() { kernel.Attention(x(4, 9), span, nil, kernel.AttentionOptions{Heads: 0}) }},
		{"key heads", "Attention", "3 heads and 2 key heads", func() {
			kernel.Attention(x(4, 14), span, nil, kernel.AttentionOptions{Heads: 3, KeyHeads: 2})
		}},
		{"factors", "ScaleSpans", "2 factors for 1 sequences", func() { kernel.ScaleSpans(x(4, 3), span, f(2)) }},
		{"cross queries", "CrossAttention", "not heads of one size for 2 heads", func() { kernel.CrossAttention(x(4, 5), span, x(4, 6), span, nil, two) }},
		{"cross keys", "CrossAttention", "keys and values are [4 6], want [S 8]", func() { kernel.CrossAttention(x(4, 4), span, x(4, 6), span, nil, two) }},
		{"cross key spans", "CrossAttention", "cover 4 rows of 5", func() { kernel.CrossAttention(x(4, 4), span, x(5, 8), span, nil, two) }},
		{"cross spans", "CrossAttention", "of 1 sequences for queries of 2", func() {
			kernel.CrossAttention(x(4, 4), []kernel.Span{{0, 2}, {2, 4}}, x(4, 8), span, nil, two)
		}},
		{"cross without keys", "CrossAttention", "sequence 0 has no keys", func() { kernel.CrossAttention(x(4, 4), span, nil, nil, nil, two) }},
		{"causal cross", "CrossAttention", "causal", func() {
			kernel.CrossAttention(x(4, 4), span, x(4, 8), span, nil, kernel.AttentionOptions{Heads: 2, Causal: true})
		}},
		{"bias", "Attention", "a bias of 4 values with distance 0 at 2 for 2 heads", func() {
			kernel.Attention(x(4, 6), span, nil, kernel.AttentionOptions{Heads: 2, Bias: &kernel.RelativeBias{Values: f(4), Zero: 2}})
		}},
		{"window", "Attention", "a window of -1", func() { kernel.Attention(x(4, 6), span, nil, kernel.AttentionOptions{Heads: 2, Window: -1}) }},
		{"cap and bias", "Attention", "a cap of 1 with a bias: true", func() {
			kernel.Attention(x(4, 6), span, nil, kernel.AttentionOptions{Heads: 2, SoftCap: 1, Bias: &kernel.RelativeBias{Values: f(4)}})
		}},
		{"attention spans", "Attention", "cover 4 rows of 5", func() { kernel.Attention(x(5, 6), span, nil, kernel.AttentionOptions{Heads: 2}) }},
		{"pasts", "Attention", "2 pasts for 1", func() { kernel.Attention(x(4, 6), span, make([]kernel.Past, 2), kernel.AttentionOptions{Heads: 2}) }},
		{"past width", "Attention", "past 0: keys are [2 3]", func() {
			kernel.Attention(x(4, 6), span, []kernel.Past{{x(2, 3), x(2, 3)}}, kernel.AttentionOptions{Heads: 2})
		}},
		{"past rows", "Attention", "values [3 2]", func() {
			kernel.Attention(x(4, 6), span, []kernel.Past{{x(2, 2), x(3, 2)}}, kernel.AttentionOptions{Heads: 2})
		}},
		{"half a past", "Attention", "keys without values", func() {
			kernel.Attention(x(4, 6), span, []kernel.Past{{Keys: x(2, 2)}}, kernel.AttentionOptions{Heads: 2})
		}},
		{"attention dropout", "Attention", "0 ≤ p < 1", func() {
			kernel.Attention(x(4, 6), span, nil, kernel.AttentionOptions{Heads: 2, Drop: kernel.Mask{P: -1}})
		}},
		{"cells", "LSTM", "0 cells", func() { kernel.LSTM(x(2, 3)) }},
		{"cell parameter", "LSTM", "cell 0 lacks a parameter", func() { kernel.LSTM(x(2, 3), kernel.LSTMCell{}) }},
		{"cell shape", "LSTM", "cell 1: hidden bias is [8 1], want [1 8]", func() { kernel.LSTM(x(2, 3), cell, wrong) }},
		{"hidden sizes", "LSTM", "hidden sizes 2 and 3 differ", func() { kernel.LSTM(x(2, 3), cell, wide) }},
		{"target count", "CrossEntropy", "1 targets for logits [2 3]", func() { kernel.CrossEntropy(x(2, 3), []int{0}) }},
		{"target", "CrossEntropy", "target 1 is 3", func() { kernel.CrossEntropy(x(2, 3), []int{0, 3}) }},
		{"target negative", "CrossEntropy", "target 0 is -1", func() { kernel.CrossEntropy(x(1, 3), []int{-1}) }},
		{"weight count", "CrossEntropy", "1 weights for 2 targets", func() { kernel.WeightedCrossEntropy(x(2, 3), []int{0, 1}, f(1)) }},
		{"span logits", "SpanCrossEntropy", "want [R 2]", func() { kernel.SpanCrossEntropy(x(4, 3), span, []int{0}, []int{0}) }},
		{"span targets", "SpanCrossEntropy", "1 starts and 0 ends", func() { kernel.SpanCrossEntropy(x(4, 2), span, []int{0}, nil) }},
		{"mse", "MSE", "2 targets for [2 2]", func() { kernel.MSE(x(2, 2), f(2)) }},
		{"bce", "BCEWithLogits", "2 targets for [2 2]", func() { kernel.BCEWithLogits(x(2, 2), f(2)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := guarded(tt.call)
			var shape *kernel.ShapeError
			if !errors.As(err, &shape) || shape.Op != tt.op || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want a ShapeError of %s that says %q", err, tt.op, tt.says)
			}
		})
	}
}

func guarded(f func()) (err error) {
	defer kernel.Guard(&err)
	f()
	return nil
}

func TestGuardPassesOtherPanics(t *testing.T) {
	defer func() {
		if r := recover(); r != "other" {
			t.Errorf("recovered %v, want the panic itself", r)
		}
	}()
	_ = guarded(func() { panic("other") })
	t.Error("the panic was swallowed")
}
