package kernel

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// LowRank is what LoRA adds to a linear layer: Scale · dropped(x)·Aᵀ·Bᵀ.
// Source: Hu et al. 2021, arXiv 2106.09685.
type LowRank struct {
	A      mat.Tensor // [r, in]
	B      mat.Tensor // [n, r]
	Scale  float32
	Column int    // of the result, where the n outputs begin
	Rows   []Span // to which it is added, in order and apart
	Drop   Mask   // of x
}

// check panics unless the delta fits a product of rows rows with a weight.
func (d LowRank) check(rows int, w *Weight) {
	if Cols(d.A) != w.in || Rows(d.A) != Cols(d.B) || d.Column < 0 || d.Column+Rows(d.B) > w.out {
		fail("Linear", "a delta has A %v and B %v at column %d, the weight is [%d %d]", d.A.Shape(), d.B.Shape(), d.Column, w.out, w.in)
	}
	checkRows("Linear", "a delta", d.Rows, rows)
	d.Drop.check("Linear")
}

// checkRows panics unless spans of so many rows are in order and apart.
func checkRows(op, what string, spans []Span, rows int) {
	last := 0
	for _, s := range spans {
		if s.Start < last || s.End < s.Start || s.End > rows {
			fail(op, "%s has the rows [%d %d) after row %d, x has %d", what, s.Start, s.End, last, rows)
		}
		last = s.End
	}
}

// add adds the delta to y [R, out], and leaves Scale · dropped(x)·Aᵀ in the rows of low [R, r].
func (d LowRank) add(m *memory, y, x, low view) {
	right := matrices.Get().(*simd.Matrix)
	defer matrices.Put(right)
	a, b, to := viewOf(d.A), viewOf(d.B), y.columns(d.Column, d.Column+Rows(d.B))
	right.PackTransposed(a.data, a.stride, a.rows, a.cols)
	for _, s := range d.Rows {
		part := low.rowsFrom(s.Start, s.End)
		multiply(part, d.dropped(m, x, s), right, nil)
		scale(part, d.Scale)
	}
	right.PackTransposed(b.data, b.stride, b.rows, b.cols)
	for _, s := range d.Rows {
		from, rows := low.rowsFrom(s.Start, s.End), to.rowsFrom(s.Start, s.End)
		right.Mul(rows.data, rows.stride, from.data, from.stride, rows.rows, nil, true)
	}
}

// dropped returns rows of x after dropout.
func (d LowRank) dropped(m *memory, x view, s Span) view {
	rows := x.rowsFrom(s.Start, s.End)
	if d.Drop.P == 0 {
		return rows
	}
	kept := m.buffer(rows.rows, rows.cols).view()
	d.drop(kept, rows, s)
	return kept
}

// drop drops elements of rows [s.Start, s.End); dst may be src.
func (d LowRank) drop(dst, src view, s Span) {
	eachRow(src.rows, src.cols, func(from, to int) {
		for r := from; r < to; r++ {
			d.Drop.apply(dst.row(r), src.row(r), (s.Start+r)*src.cols)
		}
	})
}

// backward hands the gradients to A and B and adds that of x to gx, which may be nil.
func (d LowRank) backward(m *memory, gy view, x mat.Tensor, low view, gx *Tensor) {
	gy = gy.columns(d.Column, d.Column+Rows(d.B))
	right := matrices.Get().(*simd.Matrix)
	defer matrices.Put(right)
	b := viewOf(d.B)
	right.Pack(b.data, b.stride, b.rows, b.cols)
	gLow := m.buffer(gy.rows, Rows(d.A)).view()
	for _, s := range d.Rows {
		part := gLow.rowsFrom(s.Start, s.End)
		multiply(part, gy.rowsFrom(s.Start, s.End), right, nil)
		scale(part, d.Scale)
	}
	if d.B.RequiresGrad() {
		gb := m.zeros(Rows(d.B), Cols(d.B))
		for _, s := range d.Rows {
			multiplyTN(gb.view(), gy.rowsFrom(s.Start, s.End), low.rowsFrom(s.Start, s.End), true)
		}
		m.accumulate(d.B, gb)
	}
	if d.A.RequiresGrad() {
		ga := m.zeros(Rows(d.A), Cols(d.A))
		for _, s := range d.Rows {
			multiplyTN(ga.view(), gLow.rowsFrom(s.Start, s.End), d.dropped(m, viewOf(x), s), true)
		}
		m.accumulate(d.A, ga)
	}
	if gx != nil {
		d.addInputGradient(m, gx.view(), gLow, right)
	}
}

// addInputGradient adds dropped(gLow·A) to gx. It packs A into right.
func (d LowRank) addInputGradient(m *memory, gx, gLow view, right *simd.Matrix) {
	a := viewOf(d.A)
	right.Pack(a.data, a.stride, a.rows, a.cols)
	for _, s := range d.Rows {
		from, to := gLow.rowsFrom(s.Start, s.End), gx.rowsFrom(s.Start, s.End)
		if d.Drop.P == 0 {
			right.Mul(to.data, to.stride, from.data, from.stride, to.rows, nil, true)
			continue
		}
		part := m.buffer(to.rows, to.cols).view()
		multiply(part, from, right, nil)
		d.drop(part, part, s)
		for r := range to.rows {
			addTo(to.row(r), part.row(r))
		}
	}
}

// scale multiplies all elements by f.
func scale(v view, f float32) {
	for r := range v.rows {
		row := v.row(r)
		for i := range row {
			row[i] *= f
		}
	}
}
