package kernel

import (
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"
)

// AttentionOptions says how the queries of a sequence attend to its keys.
type AttentionOptions struct {
	Heads    int           // H, heads of the queries
	KeyHeads int           // G, heads of the keys and values, each of which serves H/G consecutive heads of the queries; 0 means H
	Scale    float32       // of the scores; 0 means 1/√k
	Causal   bool          // a row sees the past and its sequence's rows up to itself, not all of them
	Bias     *RelativeBias // added to the scaled scores; nil means none
	Drop     Mask          // of the probabilities after the softmax, as torch drops them
}

// RelativeBias is a frozen table [H, n] that is added to scaled scores by the
// distance of the key's position from the query's: element Zero+distance of the
// row of the head. A distance beyond either end of the table gets the value at
// that end. The past's keys have the positions before those of the sequence's rows.
type RelativeBias struct {
	Values []float32
	Zero   int // the index of distance 0
}

// Past is what a sequence can attend to before its own first row: P keys and
// values of all key heads, [P, G·k] each. The zero Past is none.
type Past struct{ Keys, Values mat.Tensor }

// Attention returns softmax(scale·Q·Kᵀ + bias)·V for every sequence and head,
// [R, H·k].
//
// qkv is [R, (H+2·G)·k]: in each row the queries of all heads, then the keys, then
// the values. Every row of a sequence attends to the whole past of the sequence,
// whose keys come first, and to the sequence's rows. past is nil or has one entry
// for each span. Sequences may share a past, which gets one gradient. A row whose
// scores are all -Inf gives 0, as in torch.
//
// Dropout counts the probabilities sequence by sequence, head by head, query by
// query, with those that a causal row does not see.
//
// The probabilities are not kept: the backward pass computes them again from two
// numbers for every row and head (T. Dao et al.: FlashAttention, 2022).
func Attention(qkv mat.Tensor, spans []Span, past []Past, options AttentionOptions) mat.Tensor {
	o := &attention{AttentionOptions: options, qkv: qkv}
	o.complete()
	checkSpans("Attention", spans, Rows(qkv))
	if past != nil && len(past) != len(spans) {
		fail("Attention", "%d pasts for %d sequences", len(past), len(spans))
	}
	for i, span := range spans {
		p := Past{}
		if past != nil {
			p = past[i]
		}
		checkPast(i, p, o.KeyHeads*o.size)
		o.add(span, p)
	}
	return run(o)
}

// complete checks the options and sets those that are left to their defaults.
func (o *attention) complete() {
	const op = "Attention"
	if o.KeyHeads == 0 {
		o.KeyHeads = o.Heads
	}
	if o.Heads < 1 || o.KeyHeads < 1 || o.Heads%o.KeyHeads != 0 {
		fail(op, "%d heads and %d key heads", o.Heads, o.KeyHeads)
	}
	parts := o.Heads + 2*o.KeyHeads
	if Cols(o.qkv) == 0 || Cols(o.qkv)%parts != 0 {
		fail(op, "qkv is %v, which is not heads of one size for %d heads and twice %d key heads", o.qkv.Shape(), o.Heads, o.KeyHeads)
	}
	o.size = Cols(o.qkv) / parts
	if o.Scale == 0 {
		o.Scale = float32(1 / math.Sqrt(float64(o.size)))
	}
	if b := o.Bias; b != nil && (len(b.Values) == 0 || len(b.Values)%o.Heads != 0 || b.Zero < 0 || b.Zero >= len(b.Values)/o.Heads) {
		fail(op, "a bias of %d values with distance 0 at %d for %d heads", len(b.Values), b.Zero, o.Heads)
	}
	o.Drop.check(op)
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
	AttentionOptions
	qkv       mat.Tensor
	size      int        // k
	shared    operandSet // the distinct tensors of the pasts
	sequences []attended
	elements  int // probabilities of all sequences and heads

	result *Tensor
	// For every head and row what simd.SoftmaxRow returned, [H, R].
	tops, inverse []float32
}

// attended is one sequence: T queries over S = P + T keys.
type attended struct {
	span                 Span
	past                 int // P
	pastKeys, pastValues int // indices into attention.shared if P > 0
	first                int // index of its first probability; head h begins h·T·S further
}

func (o *attention) add(span Span, p Past) {
	s := attended{span: span, first: o.elements}
	if p.Keys != nil && Rows(p.Keys) > 0 {
		s.past, s.pastKeys, s.pastValues = Rows(p.Keys), o.shared.add(p.Keys), o.shared.add(p.Values)
	}
	o.sequences = append(o.sequences, s)
	o.elements += o.Heads * s.rows() * s.length()
}

func (s attended) rows() int   { return s.span.Len() }
func (s attended) length() int { return s.past + s.span.Len() }

func (o *attention) operands() []mat.Tensor { return append([]mat.Tensor{o.qkv}, o.shared...) }

// group is how many heads of the queries share a head of the keys.
func (o *attention) group() int { return o.Heads / o.KeyHeads }
