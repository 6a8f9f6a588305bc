package kernel

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// Magnitude gives the rows of a Linear's weight, a delta in it, a length of their own: what they make
// of x counts Values/Norms times. The norms are constants to the gradient.
// Source: Liu et al. 2024, DoRA, arXiv 2402.09353, section 4.3.
type Magnitude struct {
	Values mat.Tensor // [1, n]
	Norms  []float32  // [n], see [Weight.Norms]
	Frozen []float32  // [n], the bias, which is left as it is; nil: none
	// Missing is what the weight makes of dropped(x) - x, [R, out]: the magnitudes count for
	// dropped(x), as the delta does; nil: nothing is dropped.
	Missing mat.Tensor
	Column  int    // of the first of the n outputs
	Rows    []Span // in order and apart
}

// Rescale returns the results x [R, out] of a Linear with the magnitudes: for each
// (x - Frozen)·Values/Norms + Missing·(Values/Norms - 1) + Frozen.
// Source: peft 0.21.2, tuners/lora/dora.py and variants.py, DoraLinearVariant.
func Rescale(x mat.Tensor, magnitudes ...Magnitude) mat.Tensor {
	for _, d := range magnitudes {
		n := Cols(d.Values)
		if Rows(d.Values) != 1 || len(d.Norms) != n || d.Column < 0 || d.Column+n > Cols(x) || d.Frozen != nil && len(d.Frozen) != n {
			fail("Rescale", "x is %v, a magnitude %v with %d norms and %d biases at column %d", x.Shape(), d.Values.Shape(), len(d.Norms), len(d.Frozen), d.Column)
		}
		if d.Missing != nil && (Rows(d.Missing) != Rows(x) || Cols(d.Missing) != Cols(x)) {
			fail("Rescale", "x is %v, what is missing %v", x.Shape(), d.Missing.Shape())
		}
		checkRows("Rescale", "a magnitude", d.Rows, Rows(x))
	}
	return run(&rescale{x, magnitudes})
}

type rescale struct {
	x          mat.Tensor
	magnitudes []Magnitude
}

func (o *rescale) operands() []mat.Tensor {
	operands := []mat.Tensor{o.x}
	for _, d := range o.magnitudes {
		operands = append(operands, d.Values)
		if d.Missing != nil {
			operands = append(operands, d.Missing)
		}
	}
	return operands
}

func (o *rescale) forward(m *memory) *Tensor {
	y := m.like(o.x, Data(o.x))
	for _, d := range o.magnitudes {
		m.keep(d.Values)
		if d.Values.RequiresGrad() {
			m.keep(o.x)
			if d.Missing != nil {
				m.keep(d.Missing)
			}
		}
		d.scale(y.view(), d.Frozen)
		if d.Missing != nil {
			d.addMissing(y.view(), viewOf(d.Missing))
		}
	}
	return y
}

func (o *rescale) backward(m *memory, gradient []float32) {
	gx := m.like(o.x, gradient)
	for _, d := range o.magnitudes {
		if d.Values.RequiresGrad() {
			m.accumulate(d.Values, d.gradient(m, gx.view(), viewOf(o.x)))
		}
		if d.Missing != nil && d.Missing.RequiresGrad() {
			gm := m.zeros(Rows(o.x), Cols(o.x))
			d.addMissing(gm.view(), gx.view())
			m.accumulate(d.Missing, gm)
		}
		d.scale(gx.view(), nil)
	}
	if o.x.RequiresGrad() {
		m.accumulate(o.x, gx)
	}
}

// scale multiplies the magnitude's part of v with Values/Norms, but for a bias in it, which may be nil.
func (d Magnitude) scale(v view, bias []float32) {
	factors := d.factors()
	d.eachRow(v, v, func(row, _ []float32) {
		if bias != nil {
			simd.Axpy(-1, bias, row)
		}
		simd.Mul(row, factors)
		if bias != nil {
			addTo(row, bias)
		}
	})
}

// addMissing adds the magnitude's part of src, Values/Norms - 1 times, to dst.
func (d Magnitude) addMissing(dst, src view) {
	factors := d.factors()
	d.eachRow(dst, src, func(to, from []float32) {
		for i, f := range factors {
			to[i] += (f - 1) * from[i]
		}
	})
}

func (d Magnitude) factors() []float32 {
	factors := make([]float32, len(d.Norms))
	for i, value := range Data(d.Values) {
		factors[i] = value / d.Norms[i]
	}
	return factors
}

// eachRow calls f with the magnitude's columns of each of its rows of v and w.
func (d Magnitude) eachRow(v, w view, f func(v, w []float32)) {
	eachPart(v, w, d.Column, len(d.Norms), d.Rows, f)
}

// gradient returns that of Values, for gy and x [R, out].
func (d Magnitude) gradient(m *memory, gy, x view) *Tensor {
	sums := make([]float64, len(d.Norms))
	add := func(gy, x []float32) {
		for i, g := range gy {
			sums[i] += float64(g) * float64(x[i])
		}
	}
	d.eachRow(gy, x, add)
	if d.Missing != nil {
		d.eachRow(gy, viewOf(d.Missing), add)
	}
	if d.Frozen != nil {
		d.eachRow(gy, gy, func(gy, _ []float32) {
			for i, g := range gy {
				sums[i] -= float64(g) * float64(d.Frozen[i])
			}
		})
	}
	gradient := m.take(1, len(sums))
	for i, sum := range sums {
		gradient.data[i] = float32(sum / float64(d.Norms[i]))
	}
	return gradient
}

// Norms returns the lengths of the rows of the weight that a delta adds to, with what it adds:
// ‖w + Scale·B·A‖ of each of its outputs. It makes no copy of the weight.
func (w *Weight) Norms(d LowRank) []float32 {
	d.Rows = nil
	d.check(0, w)
	a, b := viewOf(d.A), viewOf(d.B)
	norms := make([]float32, b.rows)
	eachRow(b.rows, w.in*(b.cols+1), func(from, to int) {
		row := make([]float32, w.in)
		for o := from; o < to; o++ {
			w.widen(row, d.Column+o)
			for k, f := range b.row(o) {
				simd.Axpy(d.Scale*f, a.row(k), row)
			}
			sum := 0.0
			for _, v := range row {
				sum += float64(v) * float64(v)
			}
			norms[o] = float32(math.Sqrt(sum))
		}
	})
	if w.large() {
		release(w.parts...)
	}
	return norms
}

// widen sets y to a row.
func (w *Weight) widen(y []float32, row int) {
	at := row * w.in
	for _, part := range w.parts {
		if at < part.Len() {
			part.Widen(y, at)
			return
		}
		at -= part.Len()
	}
}
