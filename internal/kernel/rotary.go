package kernel

import (
	"math"

	"github.com/nlpodyssey/spago/mat"
)

// Rotation holds the angles by which [Rotary] turns the rows of a batch. It is made
// once a pass and serves all layers that turn alike.
type Rotation struct {
	cos, sin []float32 // [R, pairs], times the scale
	pairs    int
	// neighbours: element 2i of a head is turned with element 2i+1 (GPT-J), else element i
	// with element i+pairs (GPT-NeoX, Llama).
	neighbours bool
}

// RotationOptions says how pairs of elements are turned.
type RotationOptions struct {
	// Frequencies are the angles between neighbouring positions, one a pair: the inverse
	// frequencies. Elements of a head behind twice their number are not turned.
	Frequencies []float32
	// Scale multiplies what is turned; 0 means 1.
	Scale float32
	// Neighbours pairs the elements 2i and 2i+1 of a head; else i is paired with i plus the
	// number of pairs.
	Neighbours bool
}

// NewRotation returns the rotation of rows that stand at the given positions. As in
// transformers an angle is a product in float32.
func NewRotation(positions []int, options RotationOptions) *Rotation {
	r := &Rotation{pairs: len(options.Frequencies), neighbours: options.Neighbours}
	r.Append(positions, options)
	return r
}

// Append adds rows that are turned by as many other frequencies, and by another scale.
func (r *Rotation) Append(positions []int, options RotationOptions) {
	if len(options.Frequencies) != r.pairs || options.Neighbours != r.neighbours {
		fail("Rotation", "%d other pairs, want %d of the same kind", len(options.Frequencies), r.pairs)
	}
	scale := float64(options.Scale)
	if scale == 0 {
		scale = 1
	}
	cos, sin := make([]float32, len(positions)*r.pairs), make([]float32, len(positions)*r.pairs)
	eachRow(len(positions), 16*r.pairs, func(from, to int) {
		for row := from; row < to; row++ {
			for i, frequency := range options.Frequencies {
				s, c := math.Sincos(float64(float32(positions[row]) * frequency))
				cos[row*r.pairs+i], sin[row*r.pairs+i] = float32(scale*c), float32(scale*s)
			}
		}
	})
	r.cos, r.sin = append(r.cos, cos...), append(r.sin, sin...)
}

// Rotary returns x [R, C] with the pairs of its first heads, of size columns each,
// turned: rotary position embedding (Su et al. 2021, arXiv 2104.09864). Of qkv, laid out
// as for [Attention], these are the H+G heads of the queries and the keys.
func Rotary(x mat.Tensor, rotation *Rotation, heads, size int) mat.Tensor {
	rows := 0
	if rotation.pairs > 0 {
		rows = len(rotation.cos) / rotation.pairs
	}
	if 2*rotation.pairs > size || rotation.pairs > 0 && rows != Rows(x) {
		fail("Rotary", "x is %v with heads of %d, the rotation has %d rows of %d pairs", x.Shape(), size, rows, rotation.pairs)
	}
	if heads*size > Cols(x) {
		fail("Rotary", "x is %v, want %d heads of %d", x.Shape(), heads, size)
	}
	return run(&rotary{x, rotation, heads, size})
}

type rotary struct {
	x           mat.Tensor
	rotation    *Rotation
	heads, size int
}

func (o *rotary) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *rotary) forward(m *memory) *Tensor {
	y := m.take(Rows(o.x), Cols(o.x))
	o.turn(y.view(), viewOf(o.x), 1)
	return y
}

// backward turns back: a rotation is its transpose's inverse.
func (o *rotary) backward(m *memory, gradient []float32) {
	gx := m.take(Rows(o.x), Cols(o.x))
	o.turn(gx.view(), view{gradient, Rows(o.x), Cols(o.x), Cols(o.x)}, -1)
	m.accumulate(o.x, gx)
}

// turn writes the rows of x to y, turned in the direction 1 or -1.
func (o *rotary) turn(y, x view, direction float32) {
	r := o.rotation
	eachRow(x.rows, x.cols, func(from, to int) {
		for row := from; row < to; row++ {
			copy(y.row(row), x.row(row))
			cos, sin := r.cos[row*r.pairs:][:r.pairs], r.sin[row*r.pairs:][:r.pairs]
			for h := range o.heads {
				if head := y.row(row)[h*o.size:][:o.size]; r.neighbours {
					turnNeighbours(head, cos, sin, direction)
				} else {
					turnHalves(head, cos, sin, direction)
				}
			}
		}
	})
}

func turnHalves(head, cos, sin []float32, direction float32) {
	first, second := head[:len(cos)], head[len(cos):2*len(cos)]
	sin = sin[:len(cos)]
	for i, c := range cos {
		a, b, s := first[i], second[i], direction*sin[i]
		first[i], second[i] = a*c-b*s, b*c+a*s
	}
}

func turnNeighbours(head, cos, sin []float32, direction float32) {
	sin = sin[:len(cos)]
	for i, c := range cos {
		pair := head[2*i:][:2]
		a, b, s := pair[0], pair[1], direction*sin[i]
		pair[0], pair[1] = a*c-b*s, b*c+a*s
	}
}
