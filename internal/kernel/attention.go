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
	Window   int           // a row sees the keys that are less than so many positions from it; 0 means all
	SoftCap  float32       // scaled scores become cap·tanh(score/cap); 0 means none
	Bias     *RelativeBias // added to the scaled scores; nil means none
	Drop     Mask          // of the probabilities after the softmax, as torch drops them
	// Positions are added to what is scaled; nil means none. Heads share no keys then, and there is neither cap nor bias.
	Positions *RelativePositions
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
	o := &attention{AttentionOptions: options, op: "Attention", q: qkv, kv: qkv}
	o.completeHeads()
	o.firstKey = o.Heads
	parts := o.Heads + 2*o.KeyHeads
	if Cols(qkv) == 0 || Cols(qkv)%parts != 0 {
		fail(o.op, "qkv is %v, which is not heads of one size for %d heads and twice %d key heads", qkv.Shape(), o.Heads, o.KeyHeads)
	}
	o.size = Cols(qkv) / parts
	o.complete()
	checkSpans(o.op, spans, Rows(qkv))
	o.addAll(spans, spans, past)
	o.addPositions()
	return run(o)
}

// CrossAttention is [Attention] of queries to the keys and values of other rows:
// a decoder's of the encoder's.
//
// q is [R, H·k]. kv is [S, 2·G·k], in each row the keys of all key heads, then the
// values, and rows says which of its rows are those that a sequence attends to, all
// of them, behind its past. nil kv: there are the pasts alone. Causal, Window, Bias and
// Positions are not for it.
func CrossAttention(q mat.Tensor, spans []Span, kv mat.Tensor, rows []Span, past []Past, options AttentionOptions) mat.Tensor {
	o := &attention{AttentionOptions: options, op: "CrossAttention", q: q, kv: kv}
	o.completeHeads()
	if Cols(q) == 0 || Cols(q)%o.Heads != 0 {
		fail(o.op, "the queries are %v, which is not heads of one size for %d heads", q.Shape(), o.Heads)
	}
	o.size = Cols(q) / o.Heads
	if o.Causal || o.Window != 0 || o.Bias != nil || o.Positions != nil || kv == q {
		fail(o.op, "it is causal, has a window, a bias or relative positions, or keys in the tensor of the queries")
	}
	o.complete()
	checkSpans(o.op, spans, Rows(q))
	if kv == nil {
		rows = make([]Span, len(spans))
	} else {
		if Cols(kv) != 2*o.KeyHeads*o.size {
			fail(o.op, "keys and values are %v, want [S %d]", kv.Shape(), 2*o.KeyHeads*o.size)
		}
		checkSpans(o.op, rows, Rows(kv))
	}
	if len(rows) != len(spans) {
		fail(o.op, "keys and values of %d sequences for queries of %d", len(rows), len(spans))
	}
	o.addAll(spans, rows, past)
	return run(o)
}

// completeHeads checks the numbers of heads, which are the keys' by default too.
func (o *attention) completeHeads() {
	if o.KeyHeads == 0 {
		o.KeyHeads = o.Heads
	}
	if o.Heads < 1 || o.KeyHeads < 1 || o.Heads%o.KeyHeads != 0 {
		fail(o.op, "%d heads and %d key heads", o.Heads, o.KeyHeads)
	}
}

// complete checks the other options and sets those that are left to their defaults.
func (o *attention) complete() {
	if o.Scale == 0 {
		o.Scale = float32(1 / math.Sqrt(float64(o.size)))
	}
	if o.Window < 0 || o.SoftCap < 0 || o.SoftCap > 0 && o.Bias != nil {
		fail(o.op, "a window of %d and a cap of %v with a bias: %v", o.Window, o.SoftCap, o.Bias != nil)
	}
	if b := o.Bias; b != nil && (len(b.Values) == 0 || len(b.Values)%o.Heads != 0 || b.Zero < 0 || b.Zero >= len(b.Values)/o.Heads) {
		fail(o.op, "a bias of %d values with distance 0 at %d for %d heads", len(b.Values), b.Zero, o.Heads)
	}
	o.Drop.check(o.op)
}

func (o *attention) checkPast(i int, p Past) {
	if p.Keys == nil && p.Values == nil {
		return
	}
	if p.Keys == nil || p.Values == nil {
		fail(o.op, "past %d has keys without values or values without keys", i)
	}
	if width := o.KeyHeads * o.size; Cols(p.Keys) != width || !slices.Equal(p.Keys.Shape(), p.Values.Shape()) {
		fail(o.op, "past %d: keys are %v and values %v, want [P %d] both", i, p.Keys.Shape(), p.Values.Shape(), width)
	}
}

type attention struct {
	AttentionOptions
	op string // the name of the function
	// q holds the queries in its first columns, kv the keys behind firstKey heads, then the
	// values. They are one tensor where rows attend to themselves; kv is nil where there are
	// pasts alone.
	q, kv     mat.Tensor
	firstKey  int
	size      int        // k
	shared    operandSet // the distinct tensors of the pasts and of the relative positions
	sequences []attended
	elements  int // probabilities of all sequences and heads
	work      int // the same, but those of single queries count more

	keysAt, queriesAt int // indices into shared if Positions has them

	result *Tensor
	// For every head and row what simd.SoftmaxRow returned, [H, R].
	tops, inverse []float32
}

// attended is one sequence: T queries over S keys, P of the past and its own.
type attended struct {
	span, own            Span // its rows of attention.q and of attention.kv
	past                 int  // P
	pastKeys, pastValues int  // indices into attention.shared if P > 0
	first                int  // index of its first probability; head h begins h·T·S further
	// distances are the rows of the relative positions by distance, from -(S-1) on, as
	// RelativePositions.Rows counts them: nearest is the lowest, and near are all the rows.
	distances []int
	nearest   int
	near      Span
}

// addAll adds the sequences, whose queries and keys are these rows.
func (o *attention) addAll(spans, keys []Span, past []Past) {
	if past != nil && len(past) != len(spans) {
		fail(o.op, "%d pasts for %d sequences", len(past), len(spans))
	}
	for i := range spans {
		p := Past{}
		if past != nil {
			p = past[i]
		}
		o.checkPast(i, p)
		o.add(attended{span: spans[i], own: keys[i], first: o.elements}, p)
		if s := o.sequences[i]; s.rows() > 0 && s.length() == 0 {
			fail(o.op, "sequence %d has no keys", i)
		}
	}
}

func (o *attention) add(s attended, p Past) {
	if p.Keys != nil && Rows(p.Keys) > 0 {
		s.past, s.pastKeys, s.pastValues = Rows(p.Keys), o.shared.add(p.Keys), o.shared.add(p.Values)
	}
	o.sequences = append(o.sequences, s)
	n := o.Heads * s.rows() * s.length()
	o.elements += n
	if s.rows() == 1 {
		n *= singleQueryCost
	}
	o.work += n
}

func (s attended) rows() int   { return s.span.Len() }
func (s attended) length() int { return s.past + s.own.Len() }

func (o *attention) operands() []mat.Tensor {
	own := []mat.Tensor{o.q}
	if o.kv != nil && o.kv != o.q {
		own = append(own, o.kv)
	}
	return append(own, o.shared...)
}

// group is how many heads of the queries share a head of the keys.
func (o *attention) group() int { return o.Heads / o.KeyHeads }
