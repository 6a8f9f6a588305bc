package kernel_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
)

// Bounds against the float64 references: float32 keeps seven digits, and the
// sums here have up to some hundred terms of order one.
const (
	valueRTol, valueATol       = 2e-6, 2e-6
	gradientRTol, gradientATol = 1e-5, 1e-5
)

// operatorCase is an operator with a reference of its own in float64, which
// shares no code with it.
type operatorCase struct {
	name      string
	inputs    []input
	params    bool // all inputs but the first are parameters, never operators
	build     func(x []mat.Tensor) mat.Tensor
	reference func(x [][]float64) []float64
}

// input is an operand: its shape and values.
type input struct {
	name       string
	rows, cols int
	values     []float32
}

// random is an input of N(0, 1) values.
func random(name string, rows, cols int) input { return scaled(name, rows, cols, 1) }

// scaled is an input of N(0, deviation²) values.
func scaled(name string, rows, cols int, deviation float64) input {
	seed := uint64(rows*1000 + cols)
	for _, c := range name {
		seed = seed*31 + uint64(c)
	}
	return input{name, rows, cols, numtest.Normal(seed, rows*cols, deviation)}
}

// outcome is what one run of an operator gave.
type outcome struct {
	value     []float32
	gradients [][]float32 // nil where the operand got none
}

// execute builds the operator on fresh leaves, of which those in trained require a
// gradient, and differentiates Σ weight·value. Operands are released as soon as the operator is made.
func (c operatorCase) execute(t *testing.T, trained func(i int) bool, wrap func(mat.Tensor) mat.Tensor) outcome {
	t.Helper()
	leaves, operands := make([]*nn.Param, len(c.inputs)), make([]mat.Tensor, len(c.inputs))
	any := false
	for i, in := range c.inputs {
		leaves[i] = kernel.NewParam(in.rows, in.cols, append([]float32(nil), in.values...)).WithGrad(trained(i))
		operands[i] = leaves[i]
		if i == 0 || !c.params {
			operands[i] = wrap(leaves[i])
		}
		any = any || trained(i)
	}
	y := c.build(operands)
	for i, x := range operands {
		operands[i] = kernel.Replace(x, y)
	}
	result := outcome{value: slices.Clone(kernel.Data(y)), gradients: make([][]float32, len(leaves))}
	if _, isOperator := y.(*ag.Operator); isOperator != any {
		t.Fatalf("result is %T with gradients wanted: %v", y, any)
	}
	if any {
		y.AccGrad(kernel.New(kernel.Rows(y), kernel.Cols(y), outputWeight(y)))
		if err := ag.Backward(y); err != nil {
			t.Fatal(err)
		}
	}
	owners := map[*float32]string{}
	if any {
		owners[&kernel.Data(y.Grad())[0]] = "the result"
	}
	for i, leaf := range leaves {
		if leaf.HasGrad() != trained(i) {
			t.Fatalf("%s: has a gradient: %v, want %v", c.inputs[i].name, leaf.HasGrad(), trained(i))
		}
		if leaf.HasGrad() {
			result.gradients[i] = kernel.Data(leaf.Grad())
			if owner, taken := owners[&result.gradients[i][0]]; taken {
				t.Fatalf("%s and %s share the memory of a gradient", c.inputs[i].name, owner)
			}
			owners[&result.gradients[i][0]] = c.inputs[i].name
		}
		numtest.SameBits(t, kernel.Data(leaf), c.inputs[i].values)
	}
	return result
}

func outputWeight(y mat.Tensor) []float32 { return numtest.Normal(99, y.Size(), 1) }

func all(int) bool                 { return true }
func none(int) bool                { return false }
func leaf(x mat.Tensor) mat.Tensor { return x }
func operator(x mat.Tensor) mat.Tensor {
	return kernel.Add(x, kernel.New(kernel.Rows(x), kernel.Cols(x), nil))
}

// run checks the operator against its reference, and that its results do not depend
// on what else requires a gradient, on GOMAXPROCS, or on chance.
func (c operatorCase) run(t *testing.T) {
	whole := c.execute(t, all, leaf)
	c.checkReference(t, whole)

	t.Run("no gradient", func(t *testing.T) {
		numtest.SameBits(t, c.execute(t, none, leaf).value, whole.value)
	})
	for i, in := range c.inputs {
		t.Run("only "+in.name, func(t *testing.T) {
			one := c.execute(t, func(j int) bool { return i == j }, leaf)
			numtest.SameBits(t, one.value, whole.value)
			numtest.SameBits(t, one.gradients[i], whole.gradients[i])
		})
	}
	for name, trained := range map[string]func(int) bool{"trained": all, "frozen": none} {
		t.Run("in memory of a pool, "+name, func(t *testing.T) { c.runInPool(t, trained, whole) })
	}
	t.Run("operands are operators", func(t *testing.T) { same(t, c.execute(t, all, operator), whole) })
	for _, n := range []int{1, 2, 5} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", n), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
			same(t, c.execute(t, all, leaf), whole)
		})
	}
}

// runInPool runs the operator where memory that is not lent holds NaN, and expects all of
// it back but the gradients of leaves, and the value of an operator without gradient.
func (c operatorCase) runInPool(t *testing.T, trained func(int) bool, whole outcome) {
	pool := &kernel.Pool{Poison: true}
	for range 2 {
		got := c.execute(t, trained, pooled(pool))
		numtest.SameBits(t, got.value, whole.value)
		left := 1
		if trained(0) {
			same(t, got, whole)
			left = len(c.inputs)
		}
		if pieces, _ := pool.Lent(); pieces > left {
			t.Errorf("%d pieces are lent, want %d at most", pieces, left)
		}
		pool.Reset()
	}
}

func same(t *testing.T, got, want outcome) {
	t.Helper()
	numtest.SameBits(t, got.value, want.value)
	for i := range want.gradients {
		numtest.SameBits(t, got.gradients[i], want.gradients[i])
	}
}

// checkReference compares value and gradients with the reference.
func (c operatorCase) checkReference(t *testing.T, got outcome) {
	t.Helper()
	x := make([][]float64, len(c.inputs))
	for i, in := range c.inputs {
		x[i] = numtest.Wide(in.values)
	}
	want := c.reference(x)
	if !numtest.Close(t, got.value, want, valueRTol, valueATol) {
		t.Error("in the value")
	}
	weight := numtest.Normal(99, len(want), 1)
	for i, in := range c.inputs {
		gradient := numtest.Derivative(x[i], func() float64 { return numtest.Dot(c.reference(x), weight) })
		if !numtest.Close(t, got.gradients[i], gradient, gradientRTol, gradientATol) {
			t.Errorf("in the gradient of %s", in.name)
		}
	}
}

// The float64 building blocks of the references.

// product returns a·bᵀ for a [rows, n] and b [cols, n].
func product(a, b []float64, rows, cols, n int) []float64 {
	c := make([]float64, rows*cols)
	for i := range rows {
		for j := range cols {
			c[i*cols+j] = numtest.Dot(a[i*n:][:n], b[j*n:][:n])
		}
	}
	return c
}

// addRow adds b to every row of x.
func addRow(x, b []float64) []float64 {
	for i := range x {
		x[i] += b[i%len(b)]
	}
	return x
}

// each applies f to every element.
func each(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

func logistic(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

// softmax of one row.
func softmax(x []float64) []float64 {
	e, sum := each(x, math.Exp), 0.0
	for _, v := range e {
		sum += v
	}
	return each(e, func(v float64) float64 { return v / sum })
}

// maskOf returns the factors that dropout applies to n elements, taken from
// kernel.Dropout on ones.
func maskOf(mask kernel.Mask, n int) []float64 {
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	return numtest.Wide(kernel.Data(kernel.Dropout(kernel.New(1, n, ones), mask)))
}

// params turns operands that are leaves into the parameters some operators ask for.
func params(x []mat.Tensor) []*nn.Param {
	p := make([]*nn.Param, len(x))
	for i := range x {
		p[i] = x[i].(*nn.Param)
	}
	return p
}
