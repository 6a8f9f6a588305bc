package kernel_test

import (
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

func TestTensorGradient(t *testing.T) {
	x := kernel.New(2, 2, []float32{1, 2, 3, 4})
	if x.Grad() != nil || x.HasGrad() || x.RequiresGrad() {
		t.Fatalf("a leaf begins with gradient %v, required: %v", x.Grad(), x.RequiresGrad())
	}
	first, second := kernel.New(2, 2, []float32{1, 1, 1, 1}), kernel.New(2, 2, []float32{1, 2, 3, 4})
	x.AccGrad(first)
	if x.Grad() != mat.Tensor(first) {
		t.Error("the first gradient is copied, want it taken over")
	}
	x.AccGrad(second)
	numtest.SameBits(t, kernel.Data(x.Grad()), []float32{2, 3, 4, 5})
	numtest.SameBits(t, kernel.Data(second), []float32{1, 2, 3, 4})
	x.ZeroGrad()
	if x.HasGrad() || x.Grad() != nil {
		t.Error("ZeroGrad keeps a gradient")
	}
}

// Gradients of spago's own matrix type are copied: spago may go on using them.
func TestTensorCopiesForeignGradient(t *testing.T) {
	x, dense := kernel.New(1, 2, nil), mat.NewDense[float32](mat.WithShape(1, 2), mat.WithBacking([]float32{1, 2}))
	x.AccGrad(dense)
	x.AccGrad(kernel.New(1, 2, []float32{1, 1}))
	numtest.SameBits(t, kernel.Data(x.Grad()), []float32{2, 3})
	numtest.SameBits(t, mat.Data[float32](dense), []float32{1, 2})
}

func TestNewDoesNotCopy(t *testing.T) {
	data := []float32{1, 2, 3}
	if x := kernel.New(1, 3, data); &kernel.Data(x)[0] != &data[0] {
		t.Error("New copies")
	}
	if p := kernel.NewParam(3, 1, data); &kernel.Data(p)[0] != &data[0] || !p.RequiresGrad() {
		t.Error("NewParam copies or requires no gradient")
	}
}

// The columns of one prefix: as many consumers as there are layers times two, and
// still one exact gradient, whatever the order in which they arrive.
func TestColumnsOfOnePrefix(t *testing.T) {
	const rows, width, parts = 3, 4, 24
	source := numtest.Normal(1, rows*width*parts, 1)
	gradient := func() []float32 {
		prefix := kernel.NewParam(rows, width*parts, source)
		outer := operator(prefix) // the gradient passes an operator, as from a projection
		var taken []mat.Tensor
		for i := range parts {
			part := kernel.Columns(outer, i*width, (i+1)*width)
			part.AccGrad(kernel.New(rows, width, numtest.Normal(uint64(i), rows*width, 1)))
			taken = append(taken, part)
		}
		if err := ag.Backward(taken...); err != nil {
			t.Fatal(err)
		}
		return kernel.Data(prefix.Grad())
	}
	want := make([]float32, len(source))
	for i := range parts {
		for r := range rows {
			copy(want[r*width*parts+i*width:][:width], numtest.Normal(uint64(i), rows*width, 1)[r*width:])
		}
	}
	for range 20 {
		numtest.SameBits(t, gradient(), want)
	}
}

// A partial and a whole gradient have the same bits in either order, the sign of
// zero included.
func TestPartialAndWholeGradient(t *testing.T) {
	negative := float32(math.Copysign(0, -1))
	whole := func(x mat.Tensor) mat.Tensor { return kernel.Add(x, kernel.New(2, 3, nil)) }
	part := func(x mat.Tensor) mat.Tensor { return kernel.Columns(x, 1, 3) }
	sum := func(order ...func(mat.Tensor) mat.Tensor) []float32 {
		x := kernel.NewParam(2, 3, make([]float32, 6))
		for _, f := range order {
			y := f(x)
			g := kernel.New(2, kernel.Cols(y), nil)
			for i := range kernel.Data(g) {
				kernel.Data(g)[i] = []float32{negative, 1e-8, 1}[i%3]
			}
			y.AccGrad(g)
			if err := ag.Backward(y); err != nil {
				t.Fatal(err)
			}
		}
		return kernel.Data(x.Grad())
	}
	numtest.SameBits(t, sum(whole, part), sum(part, whole))
	numtest.SameBits(t, sum(part, part), sum(part, part))
}

// Columns of a matrix that is spago's own deliver a whole gradient.
func TestColumnsOfForeignMatrix(t *testing.T) {
	x := mat.NewDense[float32](mat.WithShape(2, 3), mat.WithGrad(true))
	y := kernel.Columns(x, 1, 2)
	y.AccGrad(kernel.New(2, 1, []float32{5, 7}))
	if err := ag.Backward(y); err != nil {
		t.Fatal(err)
	}
	numtest.SameBits(t, mat.Data[float32](x.Grad()), []float32{0, 5, 0, 0, 7, 0})
}

func TestAccGradIsConcurrent(t *testing.T) {
	x := kernel.New(50, 4, nil)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { x.AccGrad(kernel.New(50, 4, slices.Repeat([]float32{1}, 200))) })
	}
	wait.Wait()
	numtest.SameBits(t, kernel.Data(x.Grad()), slices.Repeat([]float32{8}, 200))
}

// A graph of frozen leaves is no graph: intermediate values are not held.
func TestFrozenOperandsMakeNoOperator(t *testing.T) {
	x := kernel.New(2, 2, []float32{1, 2, 3, 4})
	y := kernel.Tanh(kernel.Add(x, x))
	if _, ok := y.(*kernel.Tensor); !ok || y.RequiresGrad() {
		t.Errorf("result is %T, requires gradient: %v", y, y.RequiresGrad())
	}
	if blocked := kernel.Tanh(ag.StopGrad(kernel.NewParam(2, 2, nil))); blocked.RequiresGrad() {
		t.Error("StopGrad does not stop the gradient")
	}
}

// After ZeroGrad nothing is left of which columns a partial gradient had reached.
func TestZeroGradForgetsColumns(t *testing.T) {
	x := kernel.NewParam(1, 2, nil)
	part := kernel.Columns(x, 0, 1)
	part.AccGrad(kernel.New(1, 1, []float32{9}))
	if err := ag.Backward(part); err != nil {
		t.Fatal(err)
	}
	x.ZeroGrad()
	x.AccGrad(kernel.New(1, 2, []float32{1, 2}))
	x.AccGrad(kernel.New(1, 2, []float32{10, 20}))
	numtest.SameBits(t, kernel.Data(x.Grad()), []float32{11, 22})
}
