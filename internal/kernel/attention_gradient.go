package kernel

import "github.com/gopeft/gopeft/internal/simd"

// pastRuns is into how many runs the sequences are divided at most if the gradient of
// a past, or of relative positions, is wanted. The sequences of a run add to it one after the other; the
// runs work in parallel, each on sums of its own.
const pastRuns = 8

// attentionGradients collects the gradients of one attention. Pieces of work, each a run
// of sequences and a head, write to different places; what is summed over several of
// them is kept apart and then added in a fixed order.
type attentionGradients struct {
	*attention
	memory   *memory
	gradient view      // of the result
	inner    []float32 // Σ p·d, d being the gradients of the probabilities p, for every head and row, [H, R]
	dQ, dKV  *Tensor   // one tensor if q and kv are one; nil if there is no gradient to give
	// own are the gradients of keys and values by head of a group, [S, 2·G·k]; the first is in dKV.
	own  []view
	runs []sequenceRun
}

// sequenceRun is a part of the sequences: [from, to).
type sequenceRun struct {
	from, to int
	shared   [][]*Tensor // by head of a group and distinct tensor: its gradient, nil if not wanted
}

func (o *attention) backward(m *memory, gradient []float32) {
	g := &attentionGradients{attention: o, memory: m, gradient: view{gradient, Rows(o.q), o.Heads * o.size, o.Heads * o.size}}
	g.prepare()
	g.sum()
	g.divide()
	tasks := len(g.runs) * o.Heads
	simd.Parallel(tasks, o.grain(tasks), func(from, to int) {
		w := workspaces.Get().(*workspace)
		defer workspaces.Put(w)
		for i := from; i < to; i++ {
			run, number := g.runs[i/o.Heads], i%o.Heads
			for _, s := range o.sequences[run.from:run.to] {
				w.reset()
				g.head(run, s, number).differentiate(w)
			}
		}
	})
	g.deliver()
}

// prepare takes memory for the gradients of q and kv.
func (g *attentionGradients) prepare() {
	m := g.memory
	if g.q.RequiresGrad() {
		g.dQ = m.take(Rows(g.q), Cols(g.q))
	}
	switch {
	case g.kv == g.q:
		g.dKV = g.dQ
	case g.kv != nil && g.kv.RequiresGrad():
		g.dKV = m.take(Rows(g.kv), Cols(g.kv))
	}
	if g.dKV == nil {
		return
	}
	g.own = []view{g.dKV.view().columns(g.firstKey*g.size, Cols(g.kv))}
	for range g.group() - 1 {
		g.own = append(g.own, m.buffer(Rows(g.kv), 2*g.KeyHeads*g.size).view())
	}
	for _, s := range g.sequences {
		for _, own := range g.own {
			if s.rows() == 0 && s.own.Len() > 0 { // no query sets them
				own.rowsFrom(s.own.Start, s.own.End).clear()
			}
		}
	}
}

// sum makes the inner products: each is that of the result and its gradient.
func (g *attentionGradients) sum() {
	rows, y := g.gradient.rows, g.result.view()
	g.inner = g.memory.buffer(g.Heads, rows).data
	eachRow(rows, y.cols, func(from, to int) {
		for r := from; r < to; r++ {
			for h := range g.Heads {
				g.inner[h*rows+r] = float32(simd.Dot(g.columns(y, h).row(r), g.columns(g.gradient, h).row(r)))
			}
		}
	})
}

// divide makes the runs: of one sequence, if there is no sum over sequences.
func (g *attentionGradients) divide() {
	n := len(g.sequences)
	wanted := false
	for _, x := range g.shared {
		wanted = wanted || x.RequiresGrad()
	}
	runs := n
	if wanted {
		runs = min(n, pastRuns)
	}
	for i := range runs {
		run := sequenceRun{from: i * n / runs, to: (i + 1) * n / runs}
		for range g.group() {
			run.shared = append(run.shared, make([]*Tensor, len(g.shared)))
		}
		for _, s := range g.sequences[run.from:run.to] {
			if s.past > 0 && s.rows() > 0 {
				g.want(run, s.pastKeys)
				g.want(run, s.pastValues)
			}
			if g.Positions != nil && s.rows() > 0 {
				g.wantPositions(run)
			}
		}
		g.runs = append(g.runs, run)
	}
}

func (g *attentionGradients) want(run sequenceRun, shared int) {
	x := g.shared[shared]
	if !x.RequiresGrad() || run.shared[0][shared] != nil {
		return
	}
	for _, gradients := range run.shared {
		gradients[shared] = g.memory.zeros(Rows(x), Cols(x))
	}
}

func (g *attentionGradients) wantPositions(run sequenceRun) {
	if g.Positions.Keys != nil {
		g.want(run, g.keysAt)
	}
	if g.Positions.Queries != nil {
		g.want(run, g.queriesAt)
	}
}

// head is the head numbered number with the places of its gradients.
func (g *attentionGradients) head(run sequenceRun, s attended, number int) *headGradients {
	key, member := number/g.group(), number%g.group()
	h := &headGradients{head: g.attention.head(s, number)}
	h.gradient, h.inner = g.part(g.gradient, s.span, number), g.inner
	h.to.keys = joined{past: view{rows: s.past}, own: view{rows: s.own.Len()}}
	h.to.values = h.to.keys
	if g.dQ != nil {
		h.to.queries = g.part(g.dQ.view(), s.span, number)
	}
	if g.dKV != nil {
		h.to.keys.own = g.part(g.own[member], s.own, key)
		h.to.values.own = g.part(g.own[member], s.own, g.KeyHeads+key)
	}
	if s.past > 0 {
		if x := run.shared[member][s.pastKeys]; x != nil {
			h.to.keys.past = g.columns(x.view(), key)
		}
		if x := run.shared[member][s.pastValues]; x != nil {
			h.to.values.past = g.columns(x.view(), key)
		}
	}
	if h.positionKeys.data != nil {
		if x := run.shared[member][g.keysAt]; x != nil {
			h.to.positionKeys = g.part(x.view(), s.near, number)
		}
	}
	if h.positionQueries.data != nil {
		if x := run.shared[member][g.queriesAt]; x != nil {
			h.to.positionQueries = g.part(x.view(), s.near, number)
		}
	}
	return h
}

// deliver hands every operand its gradient.
func (g *attentionGradients) deliver() {
	if g.dKV != nil {
		eachRow(Rows(g.kv), Cols(g.kv), func(from, to int) {
			for r := from; r < to; r++ {
				for _, own := range g.own[1:] {
					simd.Add(g.own[0].row(r), own.row(r))
				}
			}
		})
		g.memory.accumulate(g.kv, g.dKV)
	}
	if g.dQ != nil && g.dQ != g.dKV {
		g.memory.accumulate(g.q, g.dQ)
	}
	for i, x := range g.shared {
		if x.RequiresGrad() {
			g.memory.accumulate(x, g.total(i))
		}
	}
}

// total is the gradient of a tensor that sequences share.
func (g *attentionGradients) total(shared int) *Tensor {
	var total *Tensor
	for _, run := range g.runs {
		for _, gradients := range run.shared {
			switch part := gradients[shared]; {
			case part == nil:
			case total == nil:
				total = part
			default:
				addTo(total.data, part.data)
				part.release()
			}
		}
	}
	if total == nil {
		x := g.shared[shared]
		return g.memory.zeros(Rows(x), Cols(x))
	}
	return total
}
