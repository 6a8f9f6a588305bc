package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/simd"
)

// Lookup names rows of an embedding table.
type Lookup struct {
	Table Values // [n, Width]
	Width int
	Index []int // a row of Table for each row of the result
	// Trained is the parameter whose values the table is, [n, Width]; nil: the table is frozen.
	Trained *nn.Param
	Scale   float32 // of the rows; 0 means 1
	Skipped int     // 1 + the row that gets no gradient, as torch's padding_idx; 0: every row does
}

// row writes row r of the table to y.
func (l Lookup) row(y []float32, r int) {
	l.Table.Widen(y, r*l.Width)
	if l.Scale != 0 {
		simd.Scale(l.Scale, y)
	}
}

// Embed returns the sum of the rows that each lookup names, added in the order
// of the lookups: [len(Index), Width] in memory of the pool, which may be nil.
func Embed(pool *Pool, first Lookup, more ...Lookup) mat.Tensor {
	lookups := append([]Lookup{first}, more...)
	checkLookups("Embed", lookups, len(first.Index), first.Width)
	return run(&embedding{pool: pool, lookups: lookups})
}

// AddEmbed returns x [R, d] plus the rows that each lookup names, added in the
// order of the lookups.
func AddEmbed(x mat.Tensor, lookups ...Lookup) mat.Tensor {
	checkLookups("AddEmbed", lookups, Rows(x), Cols(x))
	return run(&embedding{x: x, lookups: lookups})
}

type embedding struct {
	x       mat.Tensor // nil: the first lookup's rows
	pool    *Pool      // where x is nil
	lookups []Lookup
}

func (o *embedding) operands() []mat.Tensor {
	var operands []mat.Tensor
	if o.x != nil {
		operands = append(operands, o.x)
	}
	for _, l := range o.lookups {
		if l.Trained != nil {
			operands = append(operands, l.Trained)
		}
	}
	return operands
}

func (o *embedding) forward(m *memory) *Tensor {
	if o.x != nil {
		y := m.like(o.x, Data(o.x))
		addLookups(y, o.lookups)
		return y
	}
	m.pool = o.pool
	first := o.lookups[0]
	y := m.take(len(first.Index), first.Width)
	first.rows(y)
	addLookups(y, o.lookups[1:])
	return y
}

// releaseRows is how many rows are looked up before the pages of a table are let go. Each
// row brings in pages around it: those of a large batch would hold a whole vocabulary.
const releaseRows = 256

// rows sets y to the rows. Those of a large batch are read in the table's order, so that no page comes twice.
func (l Lookup) rows(y *Tensor) {
	order := make([]int, len(l.Index))
	for i := range order {
		order[i] = i
	}
	if len(order) > releaseRows {
		slices.SortFunc(order, func(i, j int) int { return l.Index[i] - l.Index[j] })
	}
	for n, i := range order {
		l.row(y.data[i*l.Width:][:l.Width], l.Index[i])
		if (n+1)%releaseRows == 0 {
			release(l.Table)
		}
	}
}

func (o *embedding) backward(m *memory, gradient []float32) {
	if o.x != nil && o.x.RequiresGrad() {
		m.accumulate(o.x, m.like(o.x, gradient))
	}
	for _, l := range o.lookups {
		if l.Trained != nil && l.Trained.RequiresGrad() {
			m.accumulate(l.Trained, l.gradient(m, gradient))
		}
	}
}

// gradient adds the rows of the result's gradient to those of the table that they came
// from, in order. Rows that were not looked up, and the skipped one, get zeros, as in torch.
func (l Lookup) gradient(m *memory, gradient []float32) *Tensor {
	total := m.zeros(Rows(l.Trained), l.Width)
	for i, r := range l.Index {
		if r == l.Skipped-1 {
			continue
		}
		addTo(total.data[r*l.Width:][:l.Width], gradient[i*l.Width:][:l.Width])
	}
	if l.Scale != 0 {
		simd.Scale(l.Scale, total.data)
	}
	return total
}

func addLookups(y *Tensor, lookups []Lookup) {
	row := make([]float32, Cols(y))
	for _, l := range lookups {
		for i, r := range l.Index {
			l.row(row, r)
			addTo(y.data[i*l.Width:][:l.Width], row)
		}
	}
}

// checkLookups panics unless every lookup gives [rows, width] and every index is
// a row of its table.
func checkLookups(op string, lookups []Lookup, rows, width int) {
	for n, l := range lookups {
		if l.Width != width || l.Width < 1 || l.Table.Len()%l.Width != 0 {
			fail(op, "table %d has %d values in rows of %d, want rows of %d", n, l.Table.Len(), l.Width, width)
		}
		if l.Trained != nil && (Cols(l.Trained) != l.Width || l.Trained.Size() != l.Table.Len()) {
			fail(op, "table %d has %d values in rows of %d, its parameter is %v", n, l.Table.Len(), l.Width, l.Trained.Shape())
		}
		if len(l.Index) != rows {
			fail(op, "table %d is asked for %d rows, want %d", n, len(l.Index), rows)
		}
		for i, r := range l.Index {
			if r < 0 || r >= l.Table.Len()/l.Width {
				fail(op, "table %d: index %d is row %d of %d", n, i, r, l.Table.Len()/l.Width)
			}
		}
	}
}
