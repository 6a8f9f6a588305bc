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

// wantPositions tells whether relative positions require a gradient.
func (h *headGradients) wantPositions() bool {
	return h.to.positionKeys.data != nil || h.to.positionQueries.data != nil
}

// wantScores tells whether something that the scores are made of requires a gradient.
func (h *headGradients) wantScores() bool {
	return h.to.queries.data != nil || h.to.keys.own.data != nil || h.to.keys.past.data != nil || h.wantPositions()
}

// wanted is the number of keys that are concerned: the past's only, if nothing else
// requires a gradient.
func (h *headGradients) wanted() int {
	switch {
	case h.to.queries.data != nil || h.to.keys.own.data != nil || h.wantPositions():
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
	h.position(w, 0, h.queries.rows, keys)
	if h.Window > 0 { // the tiles that meet a row first are not those that set it
		h.to.queries.clear()
		h.to.keys.own.clear()
		h.to.values.own.clear()
	}
	width := divideUp(keys, divideUp(keys, tileKeys))
	rows := rowsOfTile(h.queries.rows, 2*width)
	t := &tileGradients{headGradients: h, keysT: w.take(h.size, width), valuesT: w.take(h.size, width)}
	t.ofPositions = h.positions.cleared(w)
	if h.SoftCap > 0 {
		t.slopes = w.take(1, width).data
	}
	p, d := w.take(rows, width), w.take(rows, width)
	for t.key = 0; t.key < keys; t.key += width {
		last := min(t.key+width, keys)
		h.keys.transposeTo(t.keysT, t.key, last)
		h.values.transposeTo(t.valuesT, t.key, last)
		past := h.pastQueries(last)
		for t.query = h.firstQuery(t.key); t.query < past; t.query += rows {
			end := min(t.query+rows, past)
			cols := min(h.visible(end), last) - t.key
			t.p, t.d = p.part(end-t.query, cols), d.part(end-t.query, cols)
			t.differentiate()
		}
	}
	h.differentiatePositions(t.ofPositions)
}

// firstQuery is the first query that sees a key.
func (h *head) firstQuery(key int) int {
	switch {
	case h.Causal:
		return max(0, key-h.past)
	case h.Window > 0:
		return max(0, key-h.past+1-h.Window)
	}
	return 0
}

// pastQueries is the query behind those that see one of the keys before key.
func (h *head) pastQueries(key int) int {
	if h.Window > 0 {
		return min(h.queries.rows, key-1+h.Window-h.past)
	}
	return h.queries.rows
}

// tileGradients are some queries of a head over some keys.
type tileGradients struct {
	*headGradients
	query, key     int           // the first ones
	keysT, valuesT view          // [k, keys]
	p, d           view          // the probabilities, and the gradients of the scores
	slopes         []float32     // of capped scores, a row
	ofPositions    headPositions // the gradients of the products with relative positions
}

func (t *tileGradients) differentiate() {
	part := func(v view) view { return v.rowsFrom(t.query, t.query+t.p.rows) }
	own := t.to.queries.data != nil
	queries, gradient := part(t.queries), part(t.gradient)
	product(t.p, queries, false, t.keysT, false)
	wantScores := t.wantScores()
	if wantScores {
		product(t.d, gradient, false, t.valuesT, false)
	}
	t.softmax()
	t.add(t.to.values, t.p, gradient)
	if wantScores {
		t.add(t.to.keys, t.d, queries)
		t.collectPositions()
	}
	if own {
		t.keys.multiplied(part(t.to.queries), t.d, t.key, t.key > 0 || t.Window > 0)
	}
}

// softmax makes the products of queries and keys in p probabilities, and the gradients
// of the probabilities in d those of the products. (Where the latter are not wanted
// d holds anything.) Keys that a query does not see get 0.
func (t *tileGradients) softmax() {
	at := t.row(t.query)
	for r := range t.p.rows {
		query := t.query + r
		p, key := t.seen(t.p.row(r), query, t.key)
		d, _ := t.seen(t.d.row(r), query, t.key)
		t.drop(d, query, key)
		scale := t.finish(p, query, key)
		t.bend(p)
		simd.SoftmaxBackwardRow(p, d, scale, t.tops[at+r], t.inverse[at+r], t.inner[at+r])
		if scale != t.Scale {
			simd.Scale(t.Scale, d)
		}
		if t.SoftCap > 0 {
			simd.Mul(d, t.slopes[:len(d)])
		}
		t.drop(p, query, key)
	}
}

// bend keeps the slopes of capped scores: 1 - (score/cap)².
func (t *tileGradients) bend(scores []float32) {
	if t.SoftCap == 0 {
		return
	}
	for i, s := range scores {
		x := s / t.SoftCap
		t.slopes[i] = 1 - x*x
	}
}

// add adds the product of the transposed tile and right to the gradients of the tile's
// keys, those that are wanted. The first tile that has an own row among its keys sets
// it; the past's gradients begin with zeros.
func (t *tileGradients) add(to joined, tile, right view) {
	fresh := t.past // the first key that no query before saw
	switch {
	case t.Window > 0, !t.Causal && t.query > 0:
		fresh = t.length()
	case t.Causal:
		fresh += t.query
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
