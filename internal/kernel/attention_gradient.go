package kernel

import "github.com/gopeft/gopeft/internal/simd"

// pastRuns is into how many runs the sequences are divided at most if the gradient of
// a past is wanted. The sequences of a run add to it one after the other; the
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
	dQKV     *Tensor   // nil if qkv requires no gradient
	// own are the gradients of keys and values by head of a group, [R, 2·G·k]; the first is in dQKV.
	own  []view
	runs []sequenceRun
}

// sequenceRun is a part of the sequences: [from, to).
type sequenceRun struct {
	from, to int
	past     [][]*Tensor // by head of a group and distinct tensor: [P, G·k], nil if not wanted
}

func (o *attention) backward(m *memory, gradient []float32) {
	g := &attentionGradients{attention: o, memory: m, gradient: view{gradient, Rows(o.qkv), o.Heads * o.size, o.Heads * o.size}}
	if o.qkv.RequiresGrad() {
		g.dQKV = m.take(Rows(o.qkv), Cols(o.qkv))
		g.own = []view{g.dQKV.view().columns(o.Heads*o.size, Cols(o.qkv))}
		for range o.group() - 1 {
			g.own = append(g.own, m.buffer(Rows(o.qkv), 2*o.KeyHeads*o.size).view())
		}
	}
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
			run.past = append(run.past, make([]*Tensor, len(g.shared)))
		}
		for _, s := range g.sequences[run.from:run.to] {
			if s.past > 0 && s.rows() > 0 {
				g.want(run, s.pastKeys)
				g.want(run, s.pastValues)
			}
		}
		g.runs = append(g.runs, run)
	}
}

func (g *attentionGradients) want(run sequenceRun, shared int) {
	x := g.shared[shared]
	if !x.RequiresGrad() || run.past[0][shared] != nil {
		return
	}
	for _, past := range run.past {
		past[shared] = g.memory.zeros(Rows(x), Cols(x))
	}
}

// head is the head numbered number with the places of its gradients.
func (g *attentionGradients) head(run sequenceRun, s attended, number int) *headGradients {
	key, member := number/g.group(), number%g.group()
	h := &headGradients{head: g.attention.head(s, number)}
	h.gradient, h.inner = g.attention.own(g.gradient, s, number), g.inner
	h.to.keys = joined{past: view{rows: s.past}, own: view{rows: s.rows()}}
	h.to.values = h.to.keys
	if g.dQKV != nil {
		h.to.queries = g.attention.own(g.dQKV.view(), s, number)
		h.to.keys.own = g.attention.own(g.own[member], s, key)
		h.to.values.own = g.attention.own(g.own[member], s, g.KeyHeads+key)
	}
	if s.past > 0 {
		if x := run.past[member][s.pastKeys]; x != nil {
			h.to.keys.past = g.columns(x.view(), key)
		}
		if x := run.past[member][s.pastValues]; x != nil {
			h.to.values.past = g.columns(x.view(), key)
		}
	}
	return h
}

// deliver hands every operand its gradient.
func (g *attentionGradients) deliver() {
	if g.dQKV != nil {
		eachRow(Rows(g.qkv), Cols(g.qkv), func(from, to int) {
			for r := from; r < to; r++ {
				for _, own := range g.own[1:] {
					simd.Add(g.own[0].row(r), own.row(r))
				}
			}
		})
		g.memory.accumulate(g.qkv, g.dQKV)
	}
	for i, x := range g.shared {
		if x.RequiresGrad() {
			g.memory.accumulate(x, g.total(i))
		}
	}
}

// total is the gradient of a tensor of the pasts.
func (g *attentionGradients) total(shared int) *Tensor {
	var total *Tensor
	for _, run := range g.runs {
		for _, past := range run.past {
			switch part := past[shared]; {
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
