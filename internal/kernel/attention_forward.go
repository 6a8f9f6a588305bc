package kernel

import "github.com/gopeft/gopeft/internal/simd"

const (
	// tileValues is how many scores are worked on at once: with the keys and values that they
	// are made of they stay in the L2 cache.
	tileValues = 64 << 10
	tileRows   = 128 // of scores, at most
	// taskRows is how many queries of a head are a piece of work in the forward pass.
	taskRows = 512
	// attentionGrain is how many products are worth a goroutine.
	attentionGrain = 1 << 20
)

// rowsOfTile is how many of the queries are worked on at once, over so many keys.
func rowsOfTile(queries, keys int) int {
	const fewest = 28 // with fewer the matrix kernels are slow
	tiles := divideUp(queries, max(fewest, min(tileRows, tileValues/keys)))
	return divideUp(queries, tiles)
}

func divideUp(n, by int) int { return (n + by - 1) / by }

func (o *attention) forward(m *memory) *Tensor {
	y := m.take(Rows(o.q), o.Heads*o.size)
	tops, inverse := m.buffer(o.Heads, Rows(y)), m.buffer(o.Heads, Rows(y))
	o.result, o.tops, o.inverse = y, tops.data, inverse.data
	for _, x := range append(o.operands(), y, tops, inverse) {
		m.keep(x)
	}
	// Of a sequence, a head and queries [from, to); the single query of a sequence goes by heads of the keys.
	type task struct{ sequence, head, from, to int }
	var tasks []task
	for i, s := range o.sequences {
		if s.rows() == 1 {
			for key := range o.KeyHeads {
				tasks = append(tasks, task{i, key, 0, 1})
			}
			continue
		}
		for h := range o.Heads {
			for t := 0; t < s.rows(); t += taskRows {
				tasks = append(tasks, task{i, h, t, min(t+taskRows, s.rows())})
			}
		}
	}
	simd.Parallel(len(tasks), o.grain(len(tasks)), func(from, to int) {
		w := workspaces.Get().(*workspace)
		defer workspaces.Put(w)
		for _, t := range tasks[from:to] {
			s := o.sequences[t.sequence]
			w.reset()
			if s.rows() == 1 {
				o.attendSingle(w, y.view(), s, t.head)
				continue
			}
			o.head(s, t.head).attend(w, o.part(y.view(), s.span, t.head), t.from, t.to)
		}
	})
	return y
}

// grain is how many of n pieces of equal work are worth a goroutine.
func (o *attention) grain(n int) int {
	return n*attentionGrain/max(1, 2*o.work*o.size) + 1
}

// attend computes the result y [T, k] of the queries [from, to).
func (h *head) attend(w *workspace, y view, from, to int) {
	h.spread(w)
	begin, keys := h.firstKey(from), h.visible(to)
	h.position(w, from, to, keys)
	rows := rowsOfTile(to-from, keys-begin)
	transposed, tile := w.take(h.size, keys-begin), w.take(rows, keys-begin)
	h.keys.transposeTo(transposed, begin, keys)
	for ; from < to; from += rows {
		last := min(from+rows, to)
		key, end := h.firstKey(from), h.visible(last)
		scores, out := tile.part(last-from, end-key), y.rowsFrom(from, last)
		product(scores, h.queries.rowsFrom(from, last), false, transposed.columns(key-begin, end-begin), false)
		h.softmax(scores, from, key)
		h.values.multiplied(out, scores, key, false)
		for r, inverse := range h.inverse[h.row(from):h.row(last)] {
			simd.Scale(inverse, out.row(r))
		}
	}
}

// softmax makes products of the queries from first on and the keys from key on
// probabilities, except for the factors in h.inverse. Keys that a query does not see get 0.
func (h *head) softmax(scores view, first, key int) {
	at := h.row(first)
	for r := range scores.rows {
		row, seen := h.seen(scores.row(r), first+r, key)
		scale := h.finish(row, first+r, seen)
		h.tops[at+r], h.inverse[at+r] = simd.SoftmaxRow(row, scale)
		h.drop(row, first+r, seen)
	}
}
