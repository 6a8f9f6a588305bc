package kernel_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/mat"
)

// attentionShape is a batch for the attention tests: ragged, with sequences that
// share a past, have their own, or none.
type attentionShape struct {
	kernel.AttentionOptions
	size     int // k
	lengths  []int
	pasts    []int // index into pastRows for each sequence, or -1
	pastRows []int
	// own are the keys of each sequence, in a tensor of their own: cross-attention. nil: the
	// keys are those of the queries' rows.
	own []int
}

func (a attentionShape) keyHeads() int {
	if a.KeyHeads == 0 {
		return a.Heads
	}
	return a.KeyHeads
}

func (a attentionShape) cross() bool { return a.own != nil }

// width is that of a row with queries, keyWidth of one with keys, which begin at firstKey.
func (a attentionShape) width() int {
	if a.cross() {
		return a.Heads * a.size
	}
	return (a.Heads + 2*a.keyHeads()) * a.size
}

func (a attentionShape) keyWidth() int { return a.firstKey() + 2*a.keyHeads()*a.size }

func (a attentionShape) firstKey() int {
	if a.cross() {
		return 0
	}
	return a.Heads * a.size
}

func (a attentionShape) spans() []kernel.Span { return spansOf(a.lengths...) }

// keySpans are the rows of the sequences' own keys.
func (a attentionShape) keySpans() []kernel.Span {
	if a.cross() {
		return spansOf(a.own...)
	}
	return a.spans()
}

// firstPast is the input with the keys of the first past.
func (a attentionShape) firstPast() int {
	if a.cross() {
		return 2
	}
	return 1
}

func sum(values []int) (n int) {
	for _, v := range values {
		n += v
	}
	return n
}

// inputs are qkv, or q and kv, then keys and values of each past.
func (a attentionShape) inputs() []input {
	inputs, width := []input{random("qkv", sum(a.lengths), a.width())}, a.keyHeads()*a.size
	if a.cross() {
		inputs = []input{random("q", sum(a.lengths), a.width()), random("kv", sum(a.own), a.keyWidth())}
	}
	for i, rows := range a.pastRows {
		name := string(rune('A' + i))
		inputs = append(inputs, random("keys "+name, rows, width), random("values "+name, rows, width))
	}
	return inputs
}

func (a attentionShape) build(x []mat.Tensor) mat.Tensor {
	var past []kernel.Past
	for _, p := range a.pasts {
		if p < 0 {
			past = append(past, kernel.Past{})
			continue
		}
		at := a.firstPast() + 2*p
		past = append(past, kernel.Past{Keys: x[at], Values: x[at+1]})
	}
	if a.cross() {
		return kernel.CrossAttention(x[0], a.spans(), x[1], a.keySpans(), past, a.AttentionOptions)
	}
	return kernel.Attention(x[0], a.spans(), past, a.AttentionOptions)
}

// reference computes attention one query at a time in float64.
func (a attentionShape) reference(x [][]float64) (y []float64) {
	factors, rows := maskOf(a.Drop, a.elements()), len(x[0])/a.width()
	y = make([]float64, rows*a.Heads*a.size)
	for i, span := range a.spans() {
		for h := range a.Heads {
			keys, values := a.keysAndValues(x, i, h)
			for r := span.Start; r < span.End; r++ {
				probabilities := softmax(a.scores(x[0][r*a.width()+h*a.size:][:a.size], keys, h, len(keys)-span.End+r))
				for j, p := range probabilities {
					for c := range a.size {
						y[(r*a.Heads+h)*a.size+c] += p * factors[j] * values[j][c]
					}
				}
				factors = factors[len(keys):]
			}
		}
	}
	return y
}

// keysAndValues returns the rows that the queries of a head may attend to.
func (a attentionShape) keysAndValues(x [][]float64, sequence, h int) (keys, values [][]float64) {
	k, g := a.size, a.keyHeads()
	h = h * g / a.Heads
	for r := range a.rowsOfPast(sequence) {
		at := a.firstPast() + 2*a.pasts[sequence]
		keys = append(keys, x[at][(r*g+h)*k:][:k])
		values = append(values, x[at+1][(r*g+h)*k:][:k])
	}
	own, span := x[a.firstPast()-1], a.keySpans()[sequence]
	for r := span.Start; r < span.End; r++ {
		row := own[r*a.keyWidth()+a.firstKey():][:2*g*k]
		keys = append(keys, row[h*k:][:k])
		values = append(values, row[(g+h)*k:][:k])
	}
	return keys, values
}

// scores of a query at a position, over the keys that it sees.
func (a attentionShape) scores(query []float64, keys [][]float64, h, position int) (scores []float64) {
	scale := float64(a.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(a.size))
	}
	for j, key := range keys {
		if a.Causal && j > position {
			break
		}
		s := scale * numtest.Dot(query, key)
		if a.SoftCap > 0 {
			s = float64(a.SoftCap) * math.Tanh(s/float64(a.SoftCap))
		}
		if distance := j - position; a.Window > 0 && max(distance, -distance) >= a.Window {
			s = math.Inf(-1)
		}
		if b := a.Bias; b != nil {
			n := len(b.Values) / a.Heads
			s += float64(b.Values[h*n+min(max(b.Zero+j-position, 0), n-1)])
		}
		scores = append(scores, s)
	}
	return scores
}

// elements is how many probabilities dropout counts.
func (a attentionShape) elements() (n int) {
	for i, span := range a.keySpans() {
		n += a.Heads * a.lengths[i] * (span.Len() + a.rowsOfPast(i))
	}
	return n
}

func (a attentionShape) rowsOfPast(sequence int) int {
	if a.pasts[sequence] < 0 {
		return 0
	}
	return a.pastRows[a.pasts[sequence]]
}

func (a attentionShape) testCase() operatorCase {
	return operatorCase{inputs: a.inputs(), build: a.build, reference: a.reference}
}

func TestAttention(t *testing.T) {
	none := []int{-1, -1, -1, -1, -1}
	bias := &kernel.RelativeBias{Values: numtest.Normal(5, 2*4, 1), Zero: 2}
	dropped := kernel.Mask{P: 0.25, Key: 7}
	type options = kernel.AttentionOptions
	for _, tt := range []struct {
		name  string
		shape attentionShape
	}{
		{"no past", attentionShape{options{Heads: 2}, 3, []int{4, 1, 5}, none[:3], nil, nil}},
		{"one row", attentionShape{options{Heads: 1}, 2, []int{1}, none[:1], nil, nil}},
		{"shared past", attentionShape{options{Heads: 2, Scale: 0.3}, 3, []int{3, 1, 4}, []int{0, 0, 0}, []int{2}, nil}},
		{"mixed pasts", attentionShape{options{Heads: 2}, 3, []int{3, 1, 0, 2, 2}, []int{0, 1, 0, -1, 0}, []int{2, 3}, nil}},
		{"many sequences", attentionShape{options{Heads: 1}, 2, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, make([]int, 11), []int{1}, nil}},
		{"empty sequences", attentionShape{options{Heads: 2}, 3, []int{0, 1, 0}, []int{0, -1, 0}, []int{2}, nil}},
		{"dropout", attentionShape{options{Heads: 2, Drop: dropped}, 3, []int{3, 1, 4}, []int{0, -1, 0}, []int{2}, nil}},
		{"grouped", attentionShape{options{Heads: 4, KeyHeads: 2}, 3, []int{3, 1, 4}, []int{0, -1, 0}, []int{2}, nil}},
		{"one key head", attentionShape{options{Heads: 3, KeyHeads: 1}, 2, []int{3, 2}, []int{0, 1}, []int{2, 1}, nil}},
		{"causal", attentionShape{options{Heads: 2, Causal: true}, 3, []int{3, 1, 5}, []int{0, -1, 0}, []int{2}, nil}},
		{"causal grouped dropout", attentionShape{options{Heads: 2, KeyHeads: 1, Causal: true, Drop: dropped}, 3, []int{3, 1, 5}, []int{0, -1, 0}, []int{2}, nil}},
		{"bias", attentionShape{options{Heads: 2, Scale: 1, Bias: bias}, 3, []int{3, 1, 5}, []int{0, -1, 0}, []int{2}, nil}},
		{"causal bias", attentionShape{options{Heads: 2, Scale: 0.5, Causal: true, Bias: bias}, 3, []int{3, 1, 5}, []int{0, -1, 0}, []int{2}, nil}},
		{"cross", attentionShape{options{Heads: 2}, 3, []int{3, 1, 2}, none[:3], nil, []int{2, 4, 1}}},
		{"cross, no queries or no own keys", attentionShape{options{Heads: 2}, 3, []int{2, 0, 2}, []int{-1, 0, 0}, []int{2}, []int{3, 2, 0}}},
		{"cross, mixed pasts", attentionShape{options{Heads: 2, Scale: 1}, 3, []int{3, 1, 2}, []int{0, -1, 1}, []int{1, 3}, []int{2, 4, 1}}},
		{"cross grouped dropout", attentionShape{options{Heads: 4, KeyHeads: 2, Drop: dropped}, 3, []int{3, 0, 2}, []int{0, -1, 0}, []int{2}, []int{2, 4, 1}}},
		{"window", attentionShape{options{Heads: 2, Window: 2}, 3, []int{3, 1, 5}, []int{0, -1, 0}, []int{2}, nil}},
		{"causal window", attentionShape{options{Heads: 2, KeyHeads: 1, Causal: true, Window: 3, Drop: dropped}, 3, []int{5, 1, 3}, []int{0, -1, 0}, []int{2}, nil}},
		{"narrow window", attentionShape{options{Heads: 1, Causal: true, Window: 1}, 3, []int{4, 2}, []int{0, -1}, []int{2}, nil}},
		{"cap", attentionShape{options{Heads: 2, SoftCap: 1.5}, 3, []int{3, 1, 5}, []int{0, -1, 0}, []int{2}, nil}},
		{"causal window and cap", attentionShape{options{Heads: 2, Causal: true, Window: 2, SoftCap: 2, Scale: 0.7}, 3, []int{3, 1, 5}, []int{0, -1, 0}, []int{2}, nil}},
	} {
		t.Run(tt.name, tt.shape.testCase().run)
	}
}

// Queries over pasts alone, as one step of a decoder has the encoder's keys, get what they
// get over the same keys in one tensor.
func TestCrossAttentionOfPasts(t *testing.T) {
	a := attentionShape{kernel.AttentionOptions{Heads: 2}, 3, []int{1, 2}, []int{-1, -1}, nil, []int{4, 3}}
	c := a.testCase()
	want := c.execute(t, none, leaf).value
	kv := kernel.New(c.inputs[1].rows, c.inputs[1].cols, c.inputs[1].values)
	var pasts []kernel.Past
	for _, span := range a.keySpans() {
		var rows []int
		for r := span.Start; r < span.End; r++ {
			rows = append(rows, r)
		}
		own := kernel.Gather(kv, rows)
		pasts = append(pasts, kernel.Past{Keys: kernel.Columns(own, 0, 6), Values: kernel.Columns(own, 6, 12)})
	}
	q := kernel.New(c.inputs[0].rows, c.inputs[0].cols, c.inputs[0].values)
	got := kernel.CrossAttention(q, a.spans(), nil, nil, pasts, a.AttentionOptions)
	numtest.SameBits(t, kernel.Data(got), want)
}

// A past whose keys are its values, and which two sequences share, is one
// operand that gets one gradient.
func TestAttentionKeysAreValues(t *testing.T) {
	a := attentionShape{kernel.AttentionOptions{Heads: 2}, 3, []int{3, 2}, []int{0, 0}, []int{2}, nil}
	c := a.testCase()
	c.inputs = c.inputs[:2]
	c.build = func(x []mat.Tensor) mat.Tensor { return a.build([]mat.Tensor{x[0], x[1], x[1]}) }
	c.reference = func(x [][]float64) []float64 { return a.reference([][]float64{x[0], x[1], x[1]}) }
	c.run(t)
}

// A batch gives each sequence what it gets alone.
func TestAttentionSequencesAreIndependent(t *testing.T) {
	a := attentionShape{kernel.AttentionOptions{Heads: 3}, 8, []int{7, 1, 12}, []int{0, -1, 1}, []int{4, 2}, nil}
	c := a.testCase()
	whole, d := c.execute(t, none, leaf).value, a.Heads*a.size
	for i, span := range a.spans() {
		one := attentionShape{a.AttentionOptions, a.size, a.lengths[i : i+1], []int{a.pasts[i]}, a.pastRows, nil}
		alone := one.testCase()
		alone.inputs = slices.Clone(c.inputs)
		alone.inputs[0] = input{"qkv", span.Len(), 3 * d, c.inputs[0].values[span.Start*3*d : span.End*3*d]}
		numtest.SameBits(t, alone.execute(t, none, leaf).value, whole[span.Start*d:span.End*d])
	}
}

// The last row of a sequence alone, over the keys of the rows before it as a past, gets what it gets with them: text that
// is generated token by token is that of a whole pass. TestAttention compares single rows with a reference.
func TestAttentionSingleRows(t *testing.T) {
	for _, o := range []kernel.AttentionOptions{
		{Heads: 3, Causal: true},
		{Heads: 6, KeyHeads: 2, Causal: true},
		{Heads: 4, KeyHeads: 1, Causal: true, Bias: &kernel.RelativeBias{Values: numtest.Normal(5, 4*21, 1), Zero: 20}},
	} {
		const rows, size = 150, 20
		groups := attentionShape{AttentionOptions: o}.keyHeads()
		queries, keys := o.Heads*size, groups*size
		qkv := kernel.New(rows, queries+2*keys, numtest.Normal(1, rows*(queries+2*keys), 1))
		whole := kernel.Attention(qkv, spansOf(rows), nil, o)
		past := kernel.Gather(qkv, sequence(rows-1))
		single := kernel.Attention(kernel.Gather(qkv, []int{rows - 1}), spansOf(1), []kernel.Past{{
			Keys: kernel.Columns(past, queries, queries+keys), Values: kernel.Columns(past, queries+keys, queries+2*keys),
		}}, o)
		numtest.SameBits(t, kernel.Data(single), kernel.Data(whole)[(rows-1)*queries:])
	}
}

// sequence returns 0 to n-1.
func sequence(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// Outside witness: scaled_dot_product_attention of torch 2.15 gives 0 and no gradient for a row whose
// scores are all -Inf.
func TestAttentionMaskedRows(t *testing.T) {
	bias := &kernel.RelativeBias{Values: []float32{0, float32(math.Inf(-1))}, Zero: 1}
	a := attentionShape{kernel.AttentionOptions{Heads: 1, Causal: true, Bias: bias}, 3, []int{4}, []int{-1}, nil, nil}
	got := a.testCase().execute(t, all, leaf) // a row sees those before it: the first sees none
	numtest.SameBits(t, got.value[:3], make([]float32, 3))
	numtest.SameBits(t, got.gradients[0][:3], make([]float32, 3))
	for _, v := range slices.Concat(got.value, got.gradients[0]) {
		if v != v {
			t.Fatalf("NaN in the value %v or the gradient %v", got.value, got.gradients[0])
		}
	}
}

// A past of no rows is none.
func TestAttentionEmptyPast(t *testing.T) {
	a := attentionShape{kernel.AttentionOptions{Heads: 2}, 3, []int{4, 2}, []int{-1, 0}, []int{0}, nil}
	with := a.testCase().execute(t, none, leaf)
	a.pasts = []int{-1, -1}
	numtest.SameBits(t, with.value, a.testCase().execute(t, none, leaf).value)
}
