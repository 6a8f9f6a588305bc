package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
)

// Lookup names rows of a frozen embedding table.
type Lookup struct {
	Table []float32 // [n, Width], row by row; may be a read-only mapping
	Width int
	Index []int // a row of Table for each row of the result
}

// Embed returns the sum of the rows that each lookup names, added in the order
// of the lookups: a leaf [len(Index), Width].
func Embed(first Lookup, more ...Lookup) *Tensor {
	lookups := append([]Lookup{first}, more...)
	checkLookups("Embed", lookups, len(first.Index), first.Width)
	y := New(len(first.Index), first.Width, nil)
	for i, r := range first.Index {
		copy(y.data[i*first.Width:][:first.Width], first.Table[r*first.Width:])
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

func (o *embedding) forward(bool) *Tensor {
	y := New(Rows(o.x), Cols(o.x), slices.Clone(Data(o.x)))
	addLookups(y, o.lookups)
	return y
}

func (o *embedding) backward(gradient []float32) {
	accumulate(o.x, New(Rows(o.x), Cols(o.x), slices.Clone(gradient)))
}

func addLookups(y *Tensor, lookups []Lookup) {
	for _, l := range lookups {
		for i, r := range l.Index {
			addTo(y.data[i*l.Width:][:l.Width], l.Table[r*l.Width:][:l.Width])
		}
	}
}

// checkLookups panics unless every lookup gives [rows, width] and every index is
// a row of its table.
func checkLookups(op string, lookups []Lookup, rows, width int) {
	for n, l := range lookups {
		if l.Width != width || l.Width < 1 || len(l.Table)%l.Width != 0 {
			fail(op, "table %d has %d values in rows of %d, want rows of %d", n, len(l.Table), l.Width, width)
		}
		if len(l.Index) != rows {
			fail(op, "table %d is asked for %d rows, want %d", n, len(l.Index), rows)
		}
		for i, r := range l.Index {
			if r < 0 || r >= len(l.Table)/l.Width {
				fail(op, "table %d: index %d is row %d of %d", n, i, r, len(l.Table)/l.Width)
			}
		}
	}
}
