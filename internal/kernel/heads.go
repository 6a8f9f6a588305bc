package kernel

import "github.com/nlpodyssey/spago/mat"

// HeadsApart returns the rows of x [R, H·3·k], which hold query, key and value of each head
// beside each other, in the order of [Attention]: the queries of all heads, then the keys,
// then the values.
func HeadsApart(x mat.Tensor, heads int) mat.Tensor {
	if heads < 1 || Cols(x)%(3*heads) != 0 {
		fail("HeadsApart", "x is %v, want three parts of %d heads", x.Shape(), heads)
	}
	return run(&headsApart{x, heads, Cols(x) / (3 * heads)})
}

type headsApart struct {
	x           mat.Tensor
	heads, size int
}

func (o *headsApart) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *headsApart) forward(m *memory) *Tensor {
	y := m.take(Rows(o.x), Cols(o.x))
	o.each(func(together, apart int) { copy(y.data[apart:][:o.size], Data(o.x)[together:]) })
	return y
}

func (o *headsApart) backward(m *memory, gradient []float32) {
	gx := m.take(Rows(o.x), Cols(o.x))
	o.each(func(together, apart int) { copy(gx.data[together:][:o.size], gradient[apart:]) })
	m.accumulate(o.x, gx)
}

// each calls move with where every part of every head begins in both orders.
func (o *headsApart) each(move func(together, apart int)) {
	cols := Cols(o.x)
	eachRow(Rows(o.x), cols, func(from, to int) {
		for row := from; row < to; row++ {
			for head := range o.heads {
				for part := range 3 {
					move(row*cols+(3*head+part)*o.size, row*cols+(part*o.heads+head)*o.size)
				}
			}
		}
	})
}
