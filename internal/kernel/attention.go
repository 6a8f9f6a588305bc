package kernel

import (
	"slices"
	"sync"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// Past is what a sequence can attend to before its own first row: P keys and
// values of all heads, [P, H·k] each. The zero Past is none.
type Past struct{ Keys, Values mat.Tensor }

// Attention returns softmax(scale·Q·Kᵀ)·V for every sequence and head, [R, H·k].
//
// qkv is [R, 3·H·k]: in each row the queries of all heads, then the keys, then
// the values. Every row of a sequence attends to the whole past of the sequence
// and to all its rows (bidirectional attention); the past's keys come first. past
// is nil or has one entry for each span. Sequences may share a past; its gradient
// is summed in the order of the sequences. drop drops probabilities after the
// softmax, as torch does; its elements are counted sequence by sequence, head by
// head, query by query.
func Attention(qkv mat.Tensor, spans []Span, past []Past, heads int, scale float32, drop Mask) mat.Tensor {
	if heads < 1 || Cols(qkv) == 0 || Cols(qkv)%(3*heads) != 0 {
		fail("Attention", "qkv is %v, which is not three times %d heads", qkv.Shape(), heads)
	}
	checkSpans("Attention", spans, Rows(qkv))
	drop.check("Attention")
	if past == nil {
		past = make([]Past, len(spans))
	}
	if len(past) != len(spans) {
		fail("Attention", "%d pasts for %d sequences", len(past), len(spans))
	}
	o := &attention{
		qkv: qkv, heads: heads, width: Cols(qkv) / 3, headSize: Cols(qkv) / 3 / heads,
		scale: scale, drop: drop,
	}
	for i, p := range past {
		checkPast(i, p, o.width)
		o.add(spans[i], p)
	}
	return run(o)
}

func checkPast(i int, p Past, width int) {
	if p.Keys == nil && p.Values == nil {
		return
	}
	if p.Keys == nil || p.Values == nil {
		fail("Attention", "past %d has keys without values or values without keys", i)
	}
	if Cols(p.Keys) != width || !slices.Equal(p.Keys.Shape(), p.Values.Shape()) {
		fail("Attention", "past %d: keys are %v and values %v, want [P %d] both", i, p.Keys.Shape(), p.Values.Shape(), width)
	}
}

type attention struct {
	qkv       mat.Tensor
	shared    operandSet // the distinct tensors of the pasts
	sequences []attended
	heads     int
	width     int // H·k
	headSize  int // k
	scale     float32
	drop      Mask
	elements  int       // probabilities of all sequences and heads
	kept      []float32 // the probabilities before dropout, if a backward pass may follow
}

// attended is one sequence: T queries over S = P + T keys.
type attended struct {
	number       int // in the batch
	span         Span
	past         int // P
	keys, values int // indices into attention.shared if P > 0
	first        int // index of its first probability; head h begins h·T·S further
}

func (o *attention) add(span Span, p Past) {
	s := attended{number: len(o.sequences), span: span, first: o.elements}
	if p.Keys != nil && Rows(p.Keys) > 0 {
		s.past, s.keys, s.values = Rows(p.Keys), o.shared.add(p.Keys), o.shared.add(p.Values)
	}
	o.sequences = append(o.sequences, s)
	o.elements += o.heads * s.queries() * s.length()
}

func (s attended) queries() int { return s.span.Len() }
func (s attended) length() int  { return s.past + s.span.Len() }

func (o *attention) operands() []mat.Tensor { return append([]mat.Tensor{o.qkv}, o.shared...) }

func (o *attention) forward(tracked bool) *Tensor {
	y := New(Rows(o.qkv), o.width, nil)
	if tracked {
		o.kept = make([]float32, o.elements)
	}
	o.eachHead(func(s attended, h int, w *workspace) {
		o.gather(s, h, w)
		probabilities := w.scores
		if tracked {
			probabilities = o.probabilities(s, h)
		}
		multiplyNT(probabilities, o.head(Data(o.qkv), 0, s, h), w.keys, nil)
		for r := range probabilities.rows {
			simd.SoftmaxRow(probabilities.row(r), o.scale)
		}
		multiplyNN(o.output(y.data, s, h), o.dropped(s, h, w, probabilities), w.values)
	})
	return y
}

// dropped returns the probabilities after dropout, in the workspace unless
// dropout changes nothing.
func (o *attention) dropped(s attended, h int, w *workspace, probabilities view) view {
	if o.drop.P == 0 {
		return probabilities
	}
	o.drop.apply(w.scores.data, probabilities.data, o.element(s, h))
	return w.scores
}

// eachHead calls f for every sequence and head, in parallel.
func (o *attention) eachHead(f func(s attended, h int, w *workspace)) {
	simd.Parallel(len(o.sequences)*o.heads, 1, func(from, to int) {
		w := workspaces.Get().(*workspace)
		defer workspaces.Put(w)
		for i := from; i < to; i++ {
			s := o.sequences[i/o.heads]
			if s.queries() == 0 {
				continue
			}
			w.shape(s.queries(), s.length(), o.headSize)
			f(s, i%o.heads, w)
		}
	})
}

// element returns the index of the first probability of a head.
func (o *attention) element(s attended, h int) int { return s.first + h*s.queries()*s.length() }

// probabilities is the kept [T, S] of a head.
func (o *attention) probabilities(s attended, h int) view {
	return view{o.kept[o.element(s, h):][:s.queries()*s.length()], s.queries(), s.length(), s.length()}
}

// head is the [T, k] of a head in data shaped as qkv: part 0 queries, 1 keys, 2 values.
func (o *attention) head(data []float32, part int, s attended, h int) view {
	stride := 3 * o.width
	return view{data[s.span.Start*stride+part*o.width+h*o.headSize:], s.queries(), o.headSize, stride}
}

// output is the [T, k] of a head in data shaped as the result.
func (o *attention) output(data []float32, s attended, h int) view {
	return view{data[s.span.Start*o.width+h*o.headSize:], s.queries(), o.headSize, o.width}
}

// gather copies the head's keys and values, the past first, into the workspace.
func (o *attention) gather(s attended, h int, w *workspace) {
	if s.past > 0 {
		from := func(x mat.Tensor) view { return view{Data(x)[h*o.headSize:], s.past, o.headSize, o.width} }
		from(o.shared[s.keys]).copyTo(w.keys.rowsFrom(0, s.past))
		from(o.shared[s.values]).copyTo(w.values.rowsFrom(0, s.past))
	}
	qkv := Data(o.qkv)
	o.head(qkv, 1, s, h).copyTo(w.keys.rowsFrom(s.past, s.length()))
	o.head(qkv, 2, s, h).copyTo(w.values.rowsFrom(s.past, s.length()))
}

// workspace holds what one goroutine needs for one head.
type workspace struct {
	buffer       []float32
	scores       view // [T, S]
	keys, values view // [S, k]
	gradient     view // [S, k], of the keys or the values
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

func (w *workspace) shape(queries, length, headSize int) {
	w.buffer = slices.Grow(w.buffer[:0], queries*length+3*length*headSize)
	rest := w.buffer[:cap(w.buffer)]
	take := func(rows, cols int) view {
		v := view{rest[:rows*cols], rows, cols, cols}
		rest = rest[rows*cols:]
		return v
	}
	w.scores = take(queries, length)
	w.keys, w.values = take(length, headSize), take(length, headSize)
	w.gradient = take(length, headSize)
}
