package kernel_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/mat"
	"pgregory.net/rapid"
)

// positionShape is a batch for attention with relative positions.
type positionShape struct {
	attentionShape
	keys, queries bool
	table         []int // the rows of distances
	zero          int
	first         []int
	rows          int // m
}

// reaching gives every distance of the batch a row, several of them the same: groups are how many tables there are, of
// which sequences take one after the other.
func (a attentionShape) reaching(keys, queries bool, groups int) positionShape {
	p := positionShape{attentionShape: a, keys: keys, queries: queries}
	for i, n := range a.lengths {
		p.zero = max(p.zero, n+a.rowsOfPast(i))
	}
	for d := -p.zero; d <= p.zero; d++ {
		p.table = append(p.table, (p.zero-d)/2+1) // row 0 is nobody's
	}
	p.rows = groups * (p.zero + 2)
	if groups > 1 {
		for i := range a.lengths {
			p.first = append(p.first, i%groups*(p.zero+2))
		}
	}
	return p
}

func (p positionShape) inputs() []input {
	inputs := p.attentionShape.inputs()
	if p.keys {
		inputs = append(inputs, random("position keys", p.rows, p.Heads*p.size))
	}
	if p.queries {
		inputs = append(inputs, random("position queries", p.rows, p.Heads*p.size))
	}
	return inputs
}

func (p positionShape) build(x []mat.Tensor) mat.Tensor {
	a := p.attentionShape
	a.Positions = &kernel.RelativePositions{Rows: p.table, Zero: p.zero, First: p.first}
	at := 1 + 2*len(p.pastRows)
	if p.keys {
		a.Positions.Keys, at = x[at], at+1
	}
	if p.queries {
		a.Positions.Queries = x[at]
	}
	return a.build(x)
}

// row is the row of the positions, for a query and a key of a sequence of length keys.
func (p positionShape) row(sequence, query, key, length int) int {
	row := p.table[p.zero+key-(length-p.lengths[sequence]+query)]
	if p.first != nil {
		row += p.first[sequence]
	}
	return row
}

// near are the k values of a head in a row of one of the inputs behind the pasts.
func (p positionShape) near(x [][]float64, input, row, h int) []float64 {
	return x[1+2*len(p.pastRows)+input][(row*p.Heads+h)*p.size:][:p.size]
}

// compute returns the value in float64, one query at a time, and adds the gradients of Σ weight·value to those given, if any.
func (p positionShape) compute(x, gradients [][]float64) (y []float64) {
	a, rows := p.attentionShape, sum(p.lengths)
	y = make([]float64, rows*a.Heads*a.size)
	weight, factors := numtest.Wide(numtest.Normal(99, len(y), 1)), maskOf(a.Drop, a.elements())
	scale := 1 / math.Sqrt(float64(a.size))
	if a.Scale != 0 {
		scale = float64(a.Scale)
	}
	for i, span := range a.spans() {
		for h := range a.Heads {
			keys, values := a.keysAndValues(x, i, h)
			for r := span.Start; r < span.End; r++ {
				query := x[0][r*a.width()+h*a.size:][:a.size]
				scores := make([]float64, len(keys))
				for j := range keys {
					s := numtest.Dot(query, keys[j])
					p.terms(i, r-span.Start, j, len(keys), func(input, row int, ofKey bool) {
						with := query
						if ofKey {
							with = keys[j]
						}
						s += numtest.Dot(with, p.near(x, input, row, h))
					})
					scores[j] = scale * s
				}
				probabilities := softmax(scores)
				for j, v := range probabilities {
					add(y[(r*a.Heads+h)*a.size:][:a.size], v*factors[j], values[j])
				}
				if gradients != nil {
					p.differentiateQuery(x, gradients, i, h, r, probabilities, factors, weight, scale)
				}
				factors = factors[len(keys):]
			}
		}
	}
	return y
}

// terms calls f for what is added for a query and a key: the input, its row, and whether the key multiplies it.
func (p positionShape) terms(sequence, query, key, length int, f func(input, row int, ofKey bool)) {
	row, input := p.row(sequence, query, key, length), 0
	if p.keys {
		f(0, row, false)
		input++
	}
	if p.queries {
		f(input, row, true)
	}
}

func (p positionShape) differentiateQuery(x, gradients [][]float64, i, h, r int, probabilities, factors, weight []float64, scale float64) {
	a := p.attentionShape
	keys, values := a.keysAndValues(x, i, h)
	dKeys, dValues := a.keysAndValues(gradients, i, h)
	query, dQuery := x[0][r*a.width()+h*a.size:][:a.size], gradients[0][r*a.width()+h*a.size:][:a.size]
	dOut := weight[(r*a.Heads+h)*a.size:][:a.size]
	dP, inner := make([]float64, len(keys)), 0.0
	for j, v := range probabilities {
		add(dValues[j], v*factors[j], dOut)
		dP[j] = factors[j] * numtest.Dot(dOut, values[j])
		inner += v * dP[j]
	}
	for j, v := range probabilities {
		dS := scale * v * (dP[j] - inner)
		add(dQuery, dS, keys[j])
		add(dKeys[j], dS, query)
		p.terms(i, r-a.spans()[i].Start, j, len(keys), func(input, row int, ofKey bool) {
			with, dWith := query, dQuery
			if ofKey {
				with, dWith = keys[j], dKeys[j]
			}
			add(dWith, dS, p.near(x, input, row, h))
			add(p.near(gradients, input, row, h), dS, with)
		})
	}
}

func (p positionShape) testCase() operatorCase {
	return operatorCase{
		inputs: p.inputs(), build: p.build,
		reference: func(x [][]float64) []float64 { return p.compute(x, nil) },
	}
}

func TestAttentionPositions(t *testing.T) {
	type options = kernel.AttentionOptions
	dropped := kernel.Mask{P: 0.25, Key: 7}
	for _, tt := range []struct {
		name  string
		shape positionShape
	}{
		{"keys", attentionShape{options{Heads: 2}, 3, []int{4, 1, 5}, []int{-1, -1, -1}, nil, nil}.reaching(true, false, 1)},
		{"queries", attentionShape{options{Heads: 2}, 3, []int{4, 1, 5}, []int{-1, -1, -1}, nil, nil}.reaching(false, true, 1)},
		{"both", attentionShape{options{Heads: 2, Scale: 0.3}, 3, []int{4, 0, 5}, []int{-1, -1, -1}, nil, nil}.reaching(true, true, 1)},
		{"pasts", attentionShape{options{Heads: 2}, 3, []int{3, 1, 4, 2}, []int{0, 1, 0, -1}, []int{2, 3}, nil}.reaching(true, true, 1)},
		{"several", attentionShape{options{Heads: 1}, 3, []int{3, 1, 4, 2}, []int{0, -1, 0, -1}, []int{2}, nil}.reaching(true, true, 2)},
		{"many sequences", attentionShape{options{Heads: 1}, 2, []int{2, 1, 2, 1, 2, 1, 2, 1, 2, 1}, make([]int, 10), []int{1}, nil}.reaching(true, true, 3)},
		{"dropout", attentionShape{options{Heads: 2, Drop: dropped}, 3, []int{3, 1, 4}, []int{0, -1, 0}, []int{2}, nil}.reaching(true, true, 1)},
	} {
		t.Run(tt.name, tt.shape.testCase().run)
	}
}

// Outside witness: the definition in float64, with the gradients that follow from it by hand, for shapes of several tiles.
func TestAttentionPositionsRandomShapes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := attentionShape{size: rapid.SampledFrom([]int{12, 16, 64}).Draw(rt, "size")}
		a.Heads = rapid.IntRange(1, 2).Draw(rt, "heads")
		a.pastRows = rapid.SliceOfN(rapid.IntRange(1, 40), 0, 2).Draw(rt, "rows of pasts")
		for range rapid.IntRange(1, 10).Draw(rt, "sequences") {
			a.lengths = append(a.lengths, rapid.IntRange(0, 40).Draw(rt, "length"))
			a.pasts = append(a.pasts, rapid.IntRange(-1, len(a.pastRows)-1).Draw(rt, "past"))
		}
		a.lengths[0] = rapid.SampledFrom([]int{1, 31, 129}).Draw(rt, "first length")
		if a.size == 12 && a.Heads == 1 {
			a.lengths[0] = 530
		}
		if rapid.Bool().Draw(rt, "dropout") {
			a.Drop = kernel.Mask{P: 0.3, Key: rapid.Uint64().Draw(rt, "key")}
		}
		keys := rapid.Bool().Draw(rt, "keys")
		p := a.reaching(keys, !keys || rapid.Bool().Draw(rt, "queries"), rapid.IntRange(1, 3).Draw(rt, "tables"))
		trained := func(i int) bool { return i > 2*len(a.pastRows) || used(a)(i) }
		c := p.testCase()
		got := c.execute(t, trained, leaf)
		c.runInPool(t, trained, got)
		var x, gradients [][]float64
		for _, in := range c.inputs {
			x, gradients = append(x, numtest.Wide(in.values)), append(gradients, make([]float64, len(in.values)))
		}
		// A score is a sum of up to 192 products of order one, good to some 1e-6, and there are probabilities near 1.
		numtest.Close(t, got.value, p.compute(x, gradients), 1e-5, 1e-5)
		for i, in := range c.inputs {
			if !trained(i) {
				continue
			}
			// A gradient of a past or of positions is a sum over many queries, of terms that cancel.
			largest := 0.0
			for _, v := range gradients[i] {
				largest = max(largest, math.Abs(v))
			}
			if !numtest.Close(t, got.gradients[i], gradients[i], 1e-5, 1e-5+3e-6*largest) {
				t.Errorf("in the gradient of %s", in.name)
			}
		}
		if t.Failed() {
			rt.Fatalf("attention of %+v", p)
		}
	})
}

// A batch gives each sequence what it gets alone, whatever longer ones there are.
func TestAttentionPositionsSequencesAreIndependent(t *testing.T) {
	p := attentionShape{kernel.AttentionOptions{Heads: 2}, 8, []int{7, 1, 40}, []int{0, -1, 1}, []int{4, 2}, nil}.reaching(true, true, 2)
	c := p.testCase()
	whole, d := c.execute(t, none, leaf).value, p.Heads*p.size
	for i, span := range p.spans() {
		one := p
		one.lengths, one.pasts, one.first = p.lengths[i:i+1], p.pasts[i:i+1], p.first[i:i+1]
		alone := one.testCase()
		alone.inputs = slices.Clone(c.inputs)
		alone.inputs[0] = input{"qkv", span.Len(), 3 * d, c.inputs[0].values[span.Start*3*d : span.End*3*d]}
		numtest.SameBits(t, alone.execute(t, none, leaf).value, whole[span.Start*d:span.End*d])
	}
}

func TestAttentionPositionsProblems(t *testing.T) {
	zeros := func(rows, cols int) mat.Tensor { return kernel.New(rows, cols, nil) }
	bias := &kernel.RelativeBias{Values: make([]float32, 2)}
	for _, c := range []struct {
		name, want string
		options    kernel.AttentionOptions
		positions  kernel.RelativePositions
	}{
		{"none", "relative positions with", kernel.AttentionOptions{Heads: 2}, kernel.RelativePositions{Rows: make([]int, 9), Zero: 4}},
		{"bias", "a bias: true", kernel.AttentionOptions{Heads: 2, Bias: bias}, kernel.RelativePositions{Keys: zeros(1, 6), Rows: make([]int, 9), Zero: 4}},
		{"width", "are [1 5], want [1 6]", kernel.AttentionOptions{Heads: 2}, kernel.RelativePositions{Keys: zeros(1, 5), Rows: make([]int, 9), Zero: 4}},
		{"rows", "are [1 6], want [2 6]", kernel.AttentionOptions{Heads: 2}, kernel.RelativePositions{Keys: zeros(1, 6), Queries: zeros(2, 6), Rows: make([]int, 9), Zero: 4}},
		{"distances", "from -2 to 2, the relative positions from -2 to 1", kernel.AttentionOptions{Heads: 2}, kernel.RelativePositions{Keys: zeros(1, 6), Rows: make([]int, 4), Zero: 2}},
		{"a row too far", "positions [0, 2) of 1", kernel.AttentionOptions{Heads: 2}, kernel.RelativePositions{Keys: zeros(1, 6), Rows: []int{0, 0, 0, 1, 0}, Zero: 2}},
		{"first rows", "for 1 sequences of 2", kernel.AttentionOptions{Heads: 2}, kernel.RelativePositions{Keys: zeros(1, 6), Rows: make([]int, 5), Zero: 2, First: []int{0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := func() (err error) {
				defer kernel.Guard(&err)
				c.options.Positions = &c.positions
				kernel.Attention(zeros(4, 18), spansOf(3, 1), nil, c.options)
				return nil
			}()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v, want …%s…", err, c.want)
			}
		})
	}
}
