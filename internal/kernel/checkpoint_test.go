package kernel_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// Layers that are computed twice give the same bits as those whose graph is kept, with
// and without a pool, and their memory all comes back.
func TestCheckpointGivesSameBits(t *testing.T) {
	spans := spansOf(70, 1, 33, 90, 6)
	x, weight := numtest.Normal(1, 200*64, 1), numtest.Normal(2, 200*64, 1)
	s := newStack(3, 64, 4, 256, 5, kernel.Float32)
	pass := func(drop float32) ([]float32, []float32) {
		y := s.forward(x, spans, drop)
		value := slices.Clone(kernel.Data(y))
		return value, s.backward(t, y, weight)
	}
	for _, drop := range []float32{0, 0.1} {
		for _, pool := range []*kernel.Pool{nil, {Poison: true}} {
			t.Run(fmt.Sprintf("dropout %v, pool %v", drop, pool != nil), func(t *testing.T) {
				s.pool, s.checkpointing = nil, false
				value, gradient := pass(drop)
				s.pool, s.checkpointing = pool, true
				for range 3 {
					v, g := pass(drop)
					numtest.SameBits(t, v, value)
					numtest.SameBits(t, g, gradient)
					if pool == nil {
						continue
					}
					if pieces, _ := pool.Lent(); pieces != 0 {
						t.Errorf("%d pieces are lent after the backward pass", pieces)
					}
				}
			})
		}
	}
}

// Of twelve layers only the inputs are kept, and what one needs.
func TestCheckpointSavesMemory(t *testing.T) {
	var values [2]int
	for i, checkpointing := range []bool{false, true} {
		s, spans := newStack(12, 64, 4, 256, 5, kernel.Float32), spansOf(slices.Repeat([]int{128}, 32)...)
		s.pool, s.checkpointing = kernel.NewPool(), checkpointing
		const rows = 32 * 128
		s.backward(t, s.forward(numtest.Normal(1, rows*64, 1), spans, 0.1), numtest.Normal(2, rows*64, 1))
		_, values[i] = s.pool.Lent()
	}
	if 3*values[1] > values[0] {
		t.Errorf("the pool has %d values with checkpointing, %d without: want a third at most", values[1], values[0])
	}
}

// An operand that the layer makes nothing of gets a gradient of zeros; a past that the
// layer does not look at does not stop the backward pass.
func TestCheckpointWithUnusedOperands(t *testing.T) {
	x, keys, values := kernel.NewParam(2, 3, numtest.Normal(1, 6, 1)), kernel.NewParam(1, 3, nil), kernel.NewParam(1, 3, nil)
	y := kernel.Checkpoint(x, []kernel.Past{{Keys: keys, Values: values}, {}}, func(x mat.Tensor, past []kernel.Past) mat.Tensor {
		if len(past) != 2 || past[0].Keys == nil || past[1].Keys != nil {
			t.Errorf("the layer got %v", past)
		}
		return kernel.Add(x, x)
	})
	y.AccGrad(kernel.New(2, 3, []float32{1, 2, 3, 4, 5, 6}))
	if err := ag.Backward(y); err != nil {
		t.Fatal(err)
	}
	numtest.SameBits(t, kernel.Data(x.Grad()), []float32{2, 4, 6, 8, 10, 12})
	numtest.SameBits(t, kernel.Data(keys.Grad()), []float32{0, 0, 0})
	numtest.SameBits(t, kernel.Data(values.Grad()), []float32{0, 0, 0})
}

// Without gradients a checkpoint is the layer itself.
func TestFrozenCheckpointMakesNoOperator(t *testing.T) {
	x := kernel.New(1, 2, []float32{1, 2})
	y := kernel.Checkpoint(x, nil, func(x mat.Tensor, _ []kernel.Past) mat.Tensor { return kernel.Add(x, x) })
	if _, ok := y.(*kernel.Tensor); !ok {
		t.Errorf("result is %T", y)
	}
	numtest.SameBits(t, kernel.Data(y), []float32{2, 4})
}
