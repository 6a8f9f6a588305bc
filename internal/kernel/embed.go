package kernel

import "github.com/nlpodyssey/spago/mat"

// Lookup names rows of a frozen embedding table.
type Lookup struct {
	Table Values // [n, Width]
	Width int
	Index []int // a row of Table for each row of the result
}

// Embed returns the sum of the rows that each lookup names, added in the order
// of the lookups: a leaf [len(Index), Width] in memory of the pool, which may be nil.
func Embed(pool *Pool, first Lookup, more ...Lookup) *Tensor {
	lookups := append([]Lookup{first}, more...)
	checkLookups("Embed", lookups, len(first.Index), first.Width)
	y := pool.tensor(len(first.Index), first.Width)
	for i, r := range first.Index {
		first.Table.Widen(y.data[i*first.Width:][:first.Width], r*first.Width)
	}
	addLookups(y, more)
	return y
}

// AddEmbed returns x [R, d] plus the rows that each lookup names, added in the
// order of the lookups.
func AddEmbed(x mat.Tensor, lookups ...Lookup) mat.Tensor {
	checkLookups("AddEmbed", lookups, Rows(x), Cols(x))
	return run(&embedding{x, lookups})
}

type embedding struct {
	x       mat.Tensor
	lookups []Lookup
}

func (o *embedding) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *embedding) forward(m *memory) *Tensor {
	y := m.like(o.x, Data(o.x))
	addLookups(y, o.lookups)
	return y
}

func (o *embedding) backward(m *memory, gradient []float32) {
	m.accumulate(o.x, m.like(o.x, gradient))
}

func addLookups(y *Tensor, lookups []Lookup) {
	row := make([]float32, Cols(y))
	for _, l := range lookups {
		for i, r := range l.Index {
			l.Table.Widen(row, r*l.Width)
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
