package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
)

// Span is the range of rows [Start, End) of one sequence in a batch.
type Span struct{ Start, End int }

// Len returns the number of rows.
func (s Span) Len() int { return s.End - s.Start }

// eachPart calls f with n columns, from column on, of each row of v and w that is in the spans.
func eachPart(v, w view, column, n int, spans []Span, f func(v, w []float32)) {
	v, w = v.columns(column, column+n), w.columns(column, column+n)
	for _, s := range spans {
		for r := s.Start; r < s.End; r++ {
			f(v.row(r), w.row(r))
		}
	}
}

// checkSpans panics unless the spans lie one after the other and cover rows.
func checkSpans(op string, spans []Span, rows int) {
	at := 0
	for i, s := range spans {
		if s.Start != at || s.End < s.Start {
			fail(op, "span %d is [%d, %d), want one that begins at %d", i, s.Start, s.End, at)
		}
		at = s.End
	}
	if at != rows {
		fail(op, "spans cover %d rows of %d", at, rows)
	}
}

// Add returns x + y, of equal shapes.
func Add(x, y mat.Tensor) mat.Tensor {
	if !slices.Equal(x.Shape(), y.Shape()) {
		fail("Add", "shapes %v and %v differ", x.Shape(), y.Shape())
	}
	return run(&sum{x, y})
}

type sum struct{ x, y mat.Tensor }

func (o *sum) operands() []mat.Tensor { return []mat.Tensor{o.x, o.y} }

func (o *sum) forward(m *memory) *Tensor {
	z := m.like(o.x, Data(o.x))
	addTo(z.data, Data(o.y))
	return z
}

func (o *sum) backward(m *memory, gradient []float32) {
	for _, x := range o.operands() {
		if x.RequiresGrad() {
			m.accumulate(x, m.like(x, gradient))
		}
	}
}

// Gather returns the rows of x named by index, in that order: [len(index), d].
// A row may be named more than once; its gradients are added in the order of
// index.
func Gather(x mat.Tensor, index []int) mat.Tensor {
	for i, r := range index {
		if r < 0 || r >= Rows(x) {
			fail("Gather", "index %d is row %d, x has %d rows", i, r, Rows(x))
		}
	}
	return run(&gather{x, slices.Clone(index)})
}

type gather struct {
	x     mat.Tensor
	index []int
}

func (o *gather) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *gather) forward(m *memory) *Tensor {
	cols, x := Cols(o.x), Data(o.x)
	y := m.take(len(o.index), cols)
	for i, r := range o.index {
		copy(y.data[i*cols:][:cols], x[r*cols:])
	}
	return y
}

func (o *gather) backward(m *memory, gradient []float32) {
	cols := Cols(o.x)
	gx := m.zeros(Rows(o.x), cols)
	for i, r := range o.index {
		addTo(gx.data[r*cols:][:cols], gradient[i*cols:][:cols])
	}
	m.accumulate(o.x, gx)
}

// Columns returns the columns [from, to) of x, [rows, to-from]. It may be called
// any number of times on one x as long as the ranges do not overlap: each range
// writes its own columns of the gradient. That is how the keys and values of all
// layers are taken from one prefix.
func Columns(x mat.Tensor, from, to int) mat.Tensor {
	if from < 0 || to > Cols(x) || from >= to {
		fail("Columns", "columns [%d, %d) of %d", from, to, Cols(x))
	}
	return run(&columns{x, from, to})
}

type columns struct {
	x        mat.Tensor
	from, to int
}

func (o *columns) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *columns) forward(m *memory) *Tensor {
	rows, cols, width, x := Rows(o.x), Cols(o.x), o.to-o.from, Data(o.x)
	y := m.take(rows, width)
	for r := range rows {
		copy(y.data[r*width:][:width], x[r*cols+o.from:])
	}
	return y
}

func (o *columns) backward(m *memory, gradient []float32) {
	part := m.take(Rows(o.x), o.to-o.from)
	copy(part.data, gradient)
	if _, ok := o.x.Value().(*Tensor); ok {
		m.accumulate(o.x, &columnGradient{part, o.from})
		return
	}
	// A tensor of spago's own knows whole gradients only.
	whole := m.zeros(Rows(o.x), Cols(o.x))
	part.view().copyTo(whole.view().columns(o.from, o.to))
	part.release()
	m.accumulate(o.x, whole)
}

// Insertion is what a prompt does to the rows of one sequence. The zero Insertion
// does nothing.
type Insertion struct {
	Prompt mat.Tensor // [P, d]; nil: none
	// At says, for each row of the sequence, which row of the prompt takes its place, -1
	// for none. nil: the whole prompt stands before the sequence.
	At []int
}

// InsertRows returns the rows of x with the prompts in them: before each sequence, or in
// the place of some of its rows. There is one insertion a sequence; sequence i are the
// rows spans[i]. Sequences may share a prompt, and a row of a prompt may be in several
// places; its gradient is summed in the order of the rows.
func InsertRows(x mat.Tensor, spans []Span, insertions []Insertion) mat.Tensor {
	checkSpans("InsertRows", spans, Rows(x))
	if len(insertions) != len(spans) {
		fail("InsertRows", "%d insertions for %d sequences", len(insertions), len(spans))
	}
	o := &insertion{x: x}
	for i, in := range insertions {
		o.insert(i, in, spans[i])
	}
	return run(o)
}

// insertion is the result of InsertRows, piece by piece.
type insertion struct {
	x       mat.Tensor
	shared  operandSet // the distinct prompts
	sources []source
	rows    int
}

// source is a run of rows of one operand that stand together in the result.
type source struct {
	operand int // index into shared, or -1: x
	rows    Span
	at      int // the row of the result where they begin
}

func (o *insertion) insert(i int, in Insertion, span Span) {
	if in.Prompt == nil {
		o.take(-1, span)
		return
	}
	if Cols(in.Prompt) != Cols(o.x) {
		fail("InsertRows", "prompt %d is %v, x is %v", i, in.Prompt.Shape(), o.x.Shape())
	}
	prompt := o.shared.add(in.Prompt)
	if in.At == nil {
		o.take(prompt, Span{0, Rows(in.Prompt)})
		o.take(-1, span)
		return
	}
	if len(in.At) != span.Len() {
		fail("InsertRows", "insertion %d has places for %d rows, its sequence has %d", i, len(in.At), span.Len())
	}
	for r, row := range in.At {
		switch {
		case row < 0:
			o.take(-1, Span{span.Start + r, span.Start + r + 1})
		case row < Rows(in.Prompt):
			o.take(prompt, Span{row, row + 1})
		default:
			fail("InsertRows", "insertion %d has row %d, its prompt %d rows", i, row, Rows(in.Prompt))
		}
	}
}

// take appends rows of an operand to the result.
func (o *insertion) take(operand int, rows Span) {
	if last := len(o.sources) - 1; last >= 0 && o.sources[last].operand == operand && o.sources[last].rows.End == rows.Start {
		o.sources[last].rows.End = rows.End
	} else {
		o.sources = append(o.sources, source{operand, rows, o.rows})
	}
	o.rows += rows.Len()
}

func (o *insertion) operands() []mat.Tensor { return append([]mat.Tensor{o.x}, o.shared...) }

func (o *insertion) forward(m *memory) *Tensor {
	cols, y := Cols(o.x), m.take(o.rows, Cols(o.x))
	for _, s := range o.sources {
		from := Data(o.operands()[s.operand+1])
		copy(y.data[s.at*cols:], from[s.rows.Start*cols:s.rows.End*cols])
	}
	return y
}

func (o *insertion) backward(m *memory, gradient []float32) {
	cols := Cols(o.x)
	for i, operand := range o.operands() {
		if !operand.RequiresGrad() {
			continue
		}
		total := m.zeros(Rows(operand), cols)
		for _, s := range o.sources {
			if s.operand == i-1 {
				addTo(total.data[s.rows.Start*cols:s.rows.End*cols], gradient[s.at*cols:][:s.rows.Len()*cols])
			}
		}
		m.accumulate(operand, total)
	}
}

// operandSet lists distinct tensors in order of their first use: a tensor that
// several sequences share is one operand and gets one gradient.
type operandSet []mat.Tensor

// add returns the index of x, appending it if it is new.
func (s *operandSet) add(x mat.Tensor) int {
	if i := slices.Index(*s, x); i >= 0 {
		return i
	}
	*s = append(*s, x)
	return len(*s) - 1
}
