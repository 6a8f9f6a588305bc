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

// rowsOfTile is how many queries are worked on at once over so many keys: multiples
// of the rows of the matrix kernels.
func rowsOfTile(keys int) int {
	const kernel = 28
	return max(kernel, min(tileRows, tileValues/keys)/kernel*kernel)
}

func (o *attention) forward(tracked bool) *Tensor {
	y := New(Rows(o.qkv), o.Heads*o.size, nil)
	if tracked {
		o.result = y
		o.tops, o.inverse = make([]float32, o.Heads*y.view().rows), make([]float32, o.Heads*y.view().rows)
	}
	type task struct{ sequence, head, from, to int }
	var tasks []task
	for i, s := range o.sequences {
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
			o.head(s, t.head).attend(w, o.own(y.view(), s, t.head), t.from, t.to)
		}
	})
	return y
}

// grain is how many of n pieces of equal work are worth a goroutine.
func (o *attention) grain(n int) int {
	return n*attentionGrain/max(1, 2*o.elements*o.size) + 1
}

// attend computes the result y [T, k] of the queries [from, to).
func (h head) attend(w *workspace, y view, from, to int) {
	h.spread(w)
	rows, keys := rowsOfTile(h.visible(to)), h.visible(to)
	transposed, tile := w.take(h.size, keys), w.take(min(rows, to-from), keys)
	h.keys.transposeTo(transposed, 0, keys)
	for ; from < to; from += rows {
		last := min(from+rows, to)
		scores, out := tile.part(last-from, h.visible(last)), y.rowsFrom(from, last)
		product(scores, h.queries.rowsFrom(from, last), false, transposed, false)
		inverse := h.softmax(scores, from)
		accumulate := false
		for at, values := range h.values.pieces(0, scores.cols) {
			product(out, scores.columns(at, at+values.rows), false, values, accumulate)
			accumulate = true
		}
		for r := range out.rows {
			simd.Scale(inverse[r], out.row(r))
		}
	}
}

// softmax makes products of the queries from first on their probabilities, except for
// the factors that it returns. Keys that a query does not see get 0.
func (h head) softmax(scores view, first int) (inverse [tileRows]float32) {
	for r := range scores.rows {
		query := first + r
		row := scores.row(r)
		seen := row[:min(h.visible(query+1), len(row))]
		clear(row[len(seen):])
		top, sum := simd.SoftmaxRow(seen, h.finish(seen, query, 0))
		if h.tops != nil {
			at := h.number*Rows(h.qkv) + h.span.Start + query
			h.tops[at], h.inverse[at] = top, sum
		}
		inverse[r] = sum
		h.drop(seen, query, 0)
	}
	return inverse
}
