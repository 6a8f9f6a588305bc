package kernel

import "github.com/gopeft/gopeft/internal/simd"

// attentionGradients collects the gradients of one attention. The heads write
// disjoint parts in parallel; what the sequences add to a shared past is kept
// apart by sequence until deliver sums it in the order of the sequences.
type attentionGradients struct {
	*attention
	dQKV   *Tensor     // nil if qkv requires no gradient
	keys   [][]float32 // by sequence: [P, H·k], nil if not wanted
	values [][]float32
}

func (o *attention) backward(gradient []float32) {
	g := o.newGradients()
	o.eachHead(func(s attended, h int, w *workspace) {
		if g.wantValues(s) || g.wantScores(s) {
			o.gather(s, h, w)
		}
		probabilities, dOut := o.probabilities(s, h), o.output(gradient, s, h)
		if g.wantValues(s) {
			dropped := o.dropped(s, h, w, probabilities)
			g.scatter(2, dropped, dOut, s, h, w)
		}
		if !g.wantScores(s) {
			return
		}
		multiplyNT(w.scores, dOut, w.values, nil)
		o.drop.apply(w.scores.data, w.scores.data, o.element(s, h))
		for r := range w.scores.rows {
			simd.SoftmaxBackwardRow(w.scores.row(r), probabilities.row(r), o.scale)
		}
		if g.dQKV != nil {
			multiplyNN(o.head(g.dQKV.data, 0, s, h), w.scores, w.keys)
		}
		g.scatter(1, w.scores, o.head(Data(o.qkv), 0, s, h), s, h, w)
	})
	g.deliver()
}

func (o *attention) newGradients() *attentionGradients {
	g := &attentionGradients{
		attention: o,
		keys:      make([][]float32, len(o.sequences)),
		values:    make([][]float32, len(o.sequences)),
	}
	if o.qkv.RequiresGrad() {
		g.dQKV = New(Rows(o.qkv), Cols(o.qkv), nil)
	}
	for i, s := range o.sequences {
		if s.past > 0 && o.shared[s.keys].RequiresGrad() {
			g.keys[i] = make([]float32, s.past*o.width)
		}
		if s.past > 0 && o.shared[s.values].RequiresGrad() {
			g.values[i] = make([]float32, s.past*o.width)
		}
	}
	return g
}

func (g *attentionGradients) wantValues(s attended) bool {
	return g.dQKV != nil || g.values[s.number] != nil
}

func (g *attentionGradients) wantScores(s attended) bool {
	return g.dQKV != nil || g.keys[s.number] != nil
}

// scatter computes leftᵀ·right, the gradient of a head's keys (part 1) or
// values (part 2), [S, k], and writes its rows to where they belong: the first P
// to the past, the others to qkv. Without a gradient of qkv only the past's rows
// are computed.
func (g *attentionGradients) scatter(part int, left, right view, s attended, h int, w *workspace) {
	past := g.keys[s.number]
	if part == 2 {
		past = g.values[s.number]
	}
	rows := s.length()
	if g.dQKV == nil {
		rows = s.past
	}
	left.cols = rows
	multiplyTN(w.gradient.rowsFrom(0, rows), left, right)
	if past != nil {
		w.gradient.rowsFrom(0, s.past).copyTo(view{past[h*g.headSize:], s.past, g.headSize, g.width})
	}
	if g.dQKV != nil {
		w.gradient.rowsFrom(s.past, rows).copyTo(g.head(g.dQKV.data, part, s, h))
	}
}

// deliver hands every operand its gradient.
func (g *attentionGradients) deliver() {
	if g.dQKV != nil {
		accumulate(g.qkv, g.dQKV)
	}
	for i, x := range g.shared {
		if !x.RequiresGrad() {
			continue
		}
		total := New(Rows(x), Cols(x), nil)
		for n, s := range g.sequences {
			if s.past > 0 && s.keys == i {
				addTo(total.data, g.keys[n])
			}
			if s.past > 0 && s.values == i {
				addTo(total.data, g.values[n])
			}
		}
		accumulate(x, total)
	}
}
