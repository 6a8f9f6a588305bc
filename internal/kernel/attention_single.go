package kernel

import "github.com/gopeft/gopeft/internal/simd"

// singleQueryCost is how many times as long as in a large product each of its products
// takes where a key meets a single query: as long as it takes to read the key.
const singleQueryCost = 16

// attendSingle computes what the heads that share the keys of head number key give for a
// sequence of a single query, as when text is generated: y holds the rows of the whole
// result. Keys and values are read where they lie, once for all these heads, and nothing
// is copied. Results have the bits that attend gives.
func (o *attention) attendSingle(w *workspace, y view, s attended, key int) {
	group, first := o.group(), key*o.group()
	// The heads lie side by side in a row: that is a matrix of a row each, [H/G, k].
	perHead := func(v view) view { return view{v.data, group, o.size, o.size} }
	h := o.head(s, first)
	from, to := h.sees(0)
	scores, out := w.take(group, to-from), perHead(o.part(y, s.span, first))
	h.keys.multiplyQueries(w, scores, perHead(h.queries), from)
	for i := range group {
		member := o.head(s, first+i)
		member.spread(w)
		member.position(w, 0, 1, to)
		member.softmax(scores.rowsFrom(i, i+1), 0, from)
	}
	h.values.multiplied(out, scores, from, false)
	for i := range group {
		simd.Scale(o.inverse[(first+i)*Rows(o.q)+s.span.Start], out.row(i))
	}
}

// multiplyQueries sets scores [Q, S] to a few queries [Q, k] times the transposed S rows
// from on.
func (j joined) multiplyQueries(w *workspace, scores, queries view, from int) {
	columns, right := view{scores.data, scores.cols, 1, 1}, view{queries.data, queries.cols, 1, 1}
	if queries.rows > 1 {
		columns, right = w.take(scores.cols, queries.rows), w.take(queries.cols, queries.rows)
		simd.Transpose(right.data, right.stride, queries.data, queries.stride, queries.rows, queries.cols)
	}
	for at, rows := range j.pieces(from, from+scores.cols) {
		product(columns.rowsFrom(at-from, at-from+rows.rows), rows, false, right, false)
	}
	if queries.rows > 1 {
		simd.Transpose(scores.data, scores.stride, columns.data, columns.stride, columns.rows, columns.cols)
	}
}
