package kernel

import "github.com/gopeft/gopeft/internal/simd"

// tileKeys is how many keys are worked on at once in the backward pass, at most.
const tileKeys = 512

// headGradients is a head with its gradients.
type headGradients struct {
	*head
	gradient view         // of the result, [T, k]
	inner    []float32    // of attentionGradients
	to       headMatrices // the gradients; a view without data is one that is not wanted
}

// wanted is the number of keys that are concerned: the past's only, if nothing else
// requires a gradient.
func (h *headGradients) wanted() int {
	switch {
	case h.to.queries.data != nil || h.to.keys.own.data != nil:
		return h.length()
	case h.to.keys.past.data != nil || h.to.values.past.data != nil:
		return h.past
	}
	return 0
}

// differentiate computes the gradients of the head, keys by keys and for each queries by
// queries.
func (h *headGradients) differentiate(w *workspace) {
	keys := h.wanted()
	if keys == 0 || h.queries.rows == 0 {
		return
	}
	h.spread(w)
	width := divideUp(keys, divideUp(keys, tileKeys))
	rows := rowsOfTile(h.queries.rows, 2*width)
	t := &tileGradients{headGradients: h, keysT: w.take(h.size, width), valuesT: w.take(h.size, width)}
	p, d := w.take(rows, width), w.take(rows, width)
	for t.key = 0; t.key < keys; t.key += width {
		last := min(t.key+width, keys)
		h.keys.transposeTo(t.keysT, t.key, last)
		h.values.transposeTo(t.valuesT, t.key, last)
		for t.query = h.firstQuery(t.key); t.query < h.queries.rows; t.query += rows {
			end := min(t.query+rows, h.queries.rows)
			cols := min(h.visible(end), last) - t.key
			t.p, t.d = p.part(end-t.query, cols), d.part(end-t.query, cols)
			t.differentiate()
		}
	}
}

// firstQuery is the first query that sees a key.
func (h *head) firstQuery(key int) int {
	if h.Causal {
		return max(0, key-h.past)
	}
	return 0
}

// tileGradients are some queries of a head over some keys.
type tileGradients struct {
	*headGradients
	query, key     int  // the first ones
	keysT, valuesT view // [k, keys]
	p, d           view // the probabilities, and the gradients of the scores
}

func (t *tileGradients) differentiate() {
	part := func(v view) view { return v.rowsFrom(t.query, t.query+t.p.rows) }
	own := t.to.queries.data != nil
	queries, gradient := part(t.queries), part(t.gradient)
	product(t.p, queries, false, t.keysT, false)
	wantScores := own || t.to.keys.own.data != nil || t.to.keys.past.data != nil
	if wantScores {
		product(t.d, gradient, false, t.valuesT, false)
	}
	t.softmax()
	t.add(t.to.values, t.p, gradient)
	if wantScores {
		t.add(t.to.keys, t.d, queries)
	}
	if own {
		t.keys.multiplied(part(t.to.queries), t.d, t.key, t.key > 0)
	}
}

// softmax makes the products of queries and keys in p probabilities, and the gradients
// of the probabilities in d those of the products. (Where the latter are not wanted
// d holds anything.) Keys that a query does not see get 0.
func (t *tileGradients) softmax() {
	at := t.row(t.query)
	for r := range t.p.rows {
		query := t.query + r
		p, d := t.seen(t.p.row(r), query, t.key), t.seen(t.d.row(r), query, t.key)
		t.drop(d, query, t.key)
		simd.SoftmaxBackwardRow(p, d, t.finish(p, query, t.key), t.tops[at+r], t.inverse[at+r], t.inner[at+r])
		if t.bias != nil {
			simd.Scale(t.Scale, d)
		}
		t.drop(p, query, t.key)
	}
}

// add adds the product of the transposed tile and right to the gradients of the tile's
// keys, those that are wanted. The first tile that has an own row among its keys sets
// it; the past's gradients begin with zeros.
func (t *tileGradients) add(to joined, tile, right view) {
	fresh := t.past // the first key that no query before saw
	switch {
	case t.Causal:
		fresh += t.query
	case t.query > 0:
		fresh = t.length()
	}
	for at, rows := range to.pieces(t.key, t.key+tile.cols) {
		if rows.data == nil {
			continue
		}
		columns, old := tile.columns(at-t.key, at-t.key+rows.rows), min(max(fresh-at, 0), rows.rows)
		if old > 0 {
			product(rows.rowsFrom(0, old), columns, true, right, true)
		}
		if old < rows.rows {
			product(rows.rowsFrom(old, rows.rows), columns.columns(old, rows.rows), true, right, false)
		}
	}
}
