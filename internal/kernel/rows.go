package kernel

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
)

// Span is the range of rows [Start, End) of one sequence in a batch.
type Span struct{ Start, End int }

// Len returns the number of rows.
func (s Span) Len() int { return s.End - s.Start }

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

// InsertRows returns the rows of x with a prompt before each sequence:
// [R + ΣP, d], where sequence i of the result is prompts[i] above the rows of
// spans[i]. prompts has one entry a sequence, each [P, d] or nil for none.
// Sequences may share a prompt; its gradient is summed in the order of the
// sequences.
func InsertRows(x mat.Tensor, spans []Span, prompts []mat.Tensor) mat.Tensor {
	checkSpans("InsertRows", spans, Rows(x))
	if len(prompts) != len(spans) {
		fail("InsertRows", "%d prompts for %d sequences", len(prompts), len(spans))
	}
	o := &insertion{x: x}
	at := 0
	for i, prompt := range prompts {
		place := placement{prompt: -1, at: at, source: spans[i]}
		if prompt != nil {
			if Cols(prompt) != Cols(x) {
				fail("InsertRows", "prompt %d is %v, x is %v", i, prompt.Shape(), x.Shape())
			}
			place.prompt, place.length = o.shared.add(prompt), Rows(prompt)
		}
		o.places = append(o.places, place)
		at += place.length + spans[i].Len()
	}
	o.rows = at
	return run(o)
}

// placement says where one sequence lies in the result of an insertion.
type placement struct {
	prompt int  // index into the distinct prompts, or -1
	at     int  // the row where the prompt begins
	length int  // of the prompt
	source Span // the rows of x that follow it
}

type insertion struct {
	x      mat.Tensor
	shared operandSet
	places []placement
	rows   int
}

func (o *insertion) operands() []mat.Tensor { return append([]mat.Tensor{o.x}, o.shared...) }

func (o *insertion) forward(m *memory) *Tensor {
	cols, x := Cols(o.x), Data(o.x)
	y := m.take(o.rows, cols)
	for _, p := range o.places {
		if p.prompt >= 0 {
			copy(y.data[p.at*cols:], Data(o.shared[p.prompt]))
		}
		copy(y.data[(p.at+p.length)*cols:], x[p.source.Start*cols:p.source.End*cols])
	}
	return y
}

func (o *insertion) backward(m *memory, gradient []float32) {
	cols := Cols(o.x)
	if o.x.RequiresGrad() {
		gx := m.take(Rows(o.x), cols)
		for _, p := range o.places {
			copy(gx.data[p.source.Start*cols:p.source.End*cols], gradient[(p.at+p.length)*cols:])
		}
		m.accumulate(o.x, gx)
	}
	for i, prompt := range o.shared {
		if !prompt.RequiresGrad() {
			continue
		}
		total := m.zeros(Rows(prompt), cols)
		for _, p := range o.places {
			if p.prompt == i {
				addTo(total.data, gradient[p.at*cols:][:len(total.data)])
			}
		}
		m.accumulate(prompt, total)
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
