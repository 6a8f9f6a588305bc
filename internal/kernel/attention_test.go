package kernel_test

import (
	"math"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/mat"
)

// attentionShape is a batch for the attention tests: ragged, with sequences that
// share a past, have their own, or none.
type attentionShape struct {
	heads, headSize int
	lengths         []int
	pasts           []int // index into pastRows for each sequence, or -1
	pastRows        []int
}

func (a attentionShape) width() int { return a.heads * a.headSize }

func (a attentionShape) spans() (spans []kernel.Span) {
	at := 0
	for _, n := range a.lengths {
		spans = append(spans, kernel.Span{Start: at, End: at + n})
		at += n
	}
	return spans
}

// inputs are qkv, then keys and values of each past.
func (a attentionShape) inputs() []input {
	rows := 0
	for _, n := range a.lengths {
		rows += n
	}
	inputs := []input{random("qkv", rows, 3*a.width())}
	for i, rows := range a.pastRows {
		name := string(rune('A' + i))
		inputs = append(inputs, random("keys "+name, rows, a.width()), random("values "+name, rows, a.width()))
	}
	return inputs
}

func (a attentionShape) build(x []mat.Tensor, scale float32, mask kernel.Mask) mat.Tensor {
	var past []kernel.Past
	for _, p := range a.pasts {
		if p < 0 {
			past = append(past, kernel.Past{})
			continue
		}
		past = append(past, kernel.Past{Keys: x[1+2*p], Values: x[2+2*p]})
	}
	return kernel.Attention(x[0], a.spans(), past, a.heads, scale, mask)
}

// reference computes attention one query at a time in float64.
func (a attentionShape) reference(x [][]float64, scale float64, mask kernel.Mask) (y []float64) {
	d, k := a.width(), a.headSize
	elements := 0
	for i, n := range a.lengths {
		elements += a.heads * n * (n + a.rowsOfPast(i))
	}
	factors, at := maskOf(mask, elements), 0
	y = make([]float64, len(x[0])/3)
	for i, span := range a.spans() {
		for h := range a.heads {
			var keys, values [][]float64
			for r := range a.rowsOfPast(i) {
				keys = append(keys, x[1+2*a.pasts[i]][r*d+h*k:][:k])
				values = append(values, x[2+2*a.pasts[i]][r*d+h*k:][:k])
			}
			for r := span.Start; r < span.End; r++ {
				keys = append(keys, x[0][r*3*d+d+h*k:][:k])
				values = append(values, x[0][r*3*d+2*d+h*k:][:k])
			}
			for r := span.Start; r < span.End; r++ {
				query := x[0][r*3*d+h*k:][:k]
				scores := make([]float64, len(keys))
				for j := range keys {
					scores[j] = scale * numtest.Dot(query, keys[j])
				}
				for j, p := range softmax(scores) {
					for c := range k {
						y[r*d+h*k+c] += p * factors[at] * values[j][c]
					}
					at++
				}
			}
		}
	}
	return y
}

func (a attentionShape) rowsOfPast(sequence int) int {
	if a.pasts[sequence] < 0 {
		return 0
	}
	return a.pastRows[a.pasts[sequence]]
}

func (a attentionShape) testCase(mask kernel.Mask) operatorCase {
	scale := 1 / math.Sqrt(float64(a.headSize))
	return operatorCase{
		inputs:    a.inputs(),
		build:     func(x []mat.Tensor) mat.Tensor { return a.build(x, float32(scale), mask) },
		reference: func(x [][]float64) []float64 { return a.reference(x, float64(float32(scale)), mask) },
	}
}

func TestAttention(t *testing.T) {
	none := []int{-1, -1, -1, -1, -1}
	for _, tt := range []struct {
		name  string
		shape attentionShape
		mask  kernel.Mask
	}{
		{"no past", attentionShape{2, 3, []int{4, 1, 5}, none[:3], nil}, kernel.Mask{}},
		{"one row", attentionShape{1, 2, []int{1}, none[:1], nil}, kernel.Mask{}},
		{"shared past", attentionShape{2, 3, []int{3, 1, 4}, []int{0, 0, 0}, []int{2}}, kernel.Mask{}},
		{"mixed pasts", attentionShape{2, 3, []int{3, 1, 0, 2, 2}, []int{0, 1, 0, -1, 0}, []int{2, 3}}, kernel.Mask{}},
		{"dropout", attentionShape{2, 3, []int{3, 1, 4}, []int{0, -1, 0}, []int{2}}, kernel.Mask{P: 0.25, Key: 7}},
	} {
		t.Run(tt.name, tt.shape.testCase(tt.mask).run)
	}
}

// A past whose keys are its values, and which two sequences share, is one
// operand that gets one gradient.
func TestAttentionKeysAreValues(t *testing.T) {
	a := attentionShape{2, 3, []int{3, 2}, []int{0, 0}, []int{2}}
	c := a.testCase(kernel.Mask{})
	build, reference := c.build, c.reference
	c.inputs = c.inputs[:2]
	c.build = func(x []mat.Tensor) mat.Tensor { return build([]mat.Tensor{x[0], x[1], x[1]}) }
	c.reference = func(x [][]float64) []float64 { return reference([][]float64{x[0], x[1], x[1]}) }
	c.run(t)
}

// A batch gives each sequence what it gets alone.
func TestAttentionSequencesAreIndependent(t *testing.T) {
	a := attentionShape{3, 8, []int{7, 1, 12}, []int{0, -1, 1}, []int{4, 2}}
	c := a.testCase(kernel.Mask{})
	whole, d := c.execute(t, none, leaf).value, a.width()
	for i, span := range a.spans() {
		one := attentionShape{a.heads, a.headSize, a.lengths[i : i+1], []int{a.pasts[i]}, a.pastRows}
		alone := one.testCase(kernel.Mask{})
		alone.inputs = append([]input(nil), c.inputs...)
		alone.inputs[0] = input{"qkv", span.Len(), 3 * d, c.inputs[0].values[span.Start*3*d : span.End*3*d]}
		numtest.SameBits(t, alone.execute(t, none, leaf).value, whole[span.Start*d:span.End*d])
	}
}
