package kernel

import (
	"iter"

	"github.com/gopeft/gopeft/internal/simd"
)

// head is one head of one sequence. Its matrices lie where they are: only keys, and in
// the backward pass values, are copied, transposed.
type head struct {
	*attention
	attended
	headMatrices
	number int       // of the queries' heads
	bias   []float32 // by distance of the key from the query, from -(S-1) to S-1; nil if none
	// positions are set by position.
	positions headPositions
}

// headMatrices are the operands of a head, or their gradients.
type headMatrices struct {
	queries      view // [T, k]
	keys, values joined
	// Of relative positions, the rows near the sequence, [n, k]; without data if none.
	positionKeys, positionQueries view
}

// joined is a matrix [S, k] in two places: its first P rows are the past's.
type joined struct{ past, own view }

// pieces yields the rows [from, to) in one or two pieces, with the number of the first
// row of each.
func (j joined) pieces(from, to int) iter.Seq2[int, view] {
	return func(yield func(int, view) bool) {
		past := j.past.rows
		if from < past && !yield(from, j.past.rowsFrom(from, min(to, past))) {
			return
		}
		if first := max(from, past); first < to {
			yield(first, j.own.rowsFrom(first-past, to-past))
		}
	}
}

// transposeTo writes the rows [from, to) to the columns of dst.
func (j joined) transposeTo(dst view, from, to int) {
	for at, rows := range j.pieces(from, to) {
		simd.Transpose(dst.data[at-from:], dst.stride, rows.data, rows.stride, rows.rows, rows.cols)
	}
}

// multiplied sets dst to left times the rows from on, or adds that to dst.
func (j joined) multiplied(dst, left view, from int, accumulate bool) {
	for at, rows := range j.pieces(from, from+left.cols) {
		product(dst, left.columns(at-from, at-from+rows.rows), false, rows, accumulate)
		accumulate = true
	}
}

func (o *attention) head(s attended, number int) *head {
	group := number / o.group()
	h := &head{attention: o, attended: s, number: number}
	h.queries = o.part(viewOf(o.q), s.span, number)
	if o.kv != nil {
		kv := viewOf(o.kv)
		h.keys.own, h.values.own = o.part(kv, s.own, o.firstKey+group), o.part(kv, s.own, o.firstKey+o.KeyHeads+group)
	}
	if s.past > 0 {
		h.keys.past = o.columns(viewOf(o.shared[s.pastKeys]), group)
		h.values.past = o.columns(viewOf(o.shared[s.pastValues]), group)
	}
	if o.Positions != nil && s.rows() > 0 {
		if o.Positions.Keys != nil {
			h.positionKeys = o.part(viewOf(o.shared[o.keysAt]), s.near, number)
		}
		if o.Positions.Queries != nil {
			h.positionQueries = o.part(viewOf(o.shared[o.queriesAt]), s.near, number)
		}
	}
	return h
}

// columns are the k columns of a head.
func (o *attention) columns(v view, head int) view { return v.columns(head*o.size, (head+1)*o.size) }

// part are rows of a sequence and the columns of a head, [T, k].
func (o *attention) part(v view, rows Span, head int) view {
	if rows.Len() == 0 {
		return view{cols: o.size, stride: v.stride}
	}
	return o.columns(v, head).rowsFrom(rows.Start, rows.End)
}

// sees returns the keys [from, to) that a query sees.
func (h *head) sees(query int) (from, to int) {
	to = h.length()
	if h.Causal {
		to = h.past + query + 1
	}
	if h.Window > 0 {
		from, to = max(0, h.past+query+1-h.Window), min(to, h.past+query+h.Window)
	}
	return from, to
}

// visible is the key behind those that the rows before query see.
func (h *head) visible(query int) int {
	_, to := h.sees(query - 1)
	return to
}

// firstKey is the first key that the rows from query on see.
func (h *head) firstKey(query int) int {
	from, _ := h.sees(query)
	return from
}

// spread lays out the bias of the head by distance, for the rows of the scores to be
// slices of it.
func (h *head) spread(w *workspace) {
	if h.Bias == nil {
		return
	}
	n, last := len(h.Bias.Values)/h.Heads, h.length()-1
	table := h.Bias.Values[h.number*n:][:n]
	h.bias = w.take(1, 2*last+1).data
	for i := range h.bias {
		h.bias[i] = table[min(max(h.Bias.Zero+i-last, 0), n-1)]
	}
}

// row is the index of a query in attention.tops and attention.inverse.
func (h *head) row(query int) int { return h.number*Rows(h.q) + h.span.Start + query }

// seen is the part of a row of a tile, from key on, that the query sees, and the number of
// its first key. It clears the others.
func (h *head) seen(row []float32, query, key int) (part []float32, first int) {
	from, to := h.sees(query)
	end := min(max(to-key, 0), len(row))
	begin := min(max(from-key, 0), end)
	clear(row[:begin])
	clear(row[end:])
	return row[begin:end], key + begin
}

// finish makes a row of products the scores of a query over the keys from key on, which
// remain to be scaled by what it returns.
func (h *head) finish(row []float32, query, key int) (scale float32) {
	switch {
	case h.Positions != nil:
		h.positions.add(h, row, query, key)
	case h.bias != nil:
		return h.addBias(row, query, key)
	case h.SoftCap > 0:
		return h.cap(row)
	}
	return h.Scale
}

// cap bends scores so that they stay below the cap (Gemma 2, arXiv 2408.00118, section 2).
func (h *head) cap(row []float32) (scale float32) {
	simd.Scale(h.Scale/h.SoftCap, row)
	simd.Tanh(row, row)
	simd.Scale(h.SoftCap, row)
	return 1
}

func (h *head) addBias(row []float32, query, key int) (scale float32) {
	simd.Scale(h.Scale, row)
	simd.Add(row, h.bias[h.length()-1-(h.past+query)+key:][:len(row)])
	return 1
}

// drop drops probabilities, or their gradients, of a query over the keys from key on.
func (h *head) drop(row []float32, query, key int) {
	if h.Drop.P > 0 {
		h.Drop.apply(row, row, h.first+(h.number*h.queries.rows+query)*h.length()+key)
	}
}
