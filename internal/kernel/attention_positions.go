package kernel

import (
	"cmp"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// RelativePositions are keys and queries of relative positions, for disentangled attention
// (He et al. 2020, arXiv 2006.03654): what is scaled is not q·k alone, but
// q·k + q·Keys[r] + k·Queries[r], where r is the row of the distance between the two.
type RelativePositions struct {
	Keys, Queries mat.Tensor // [m, H·k]; nil: its term is left out
	// Rows gives the row of a distance, that of the key's position from the query's: element
	// Zero+distance. It must have all distances in the batch. The past's keys have the positions
	// before those of the sequence's rows.
	Rows []int
	Zero int
	// First is the row, for each sequence, from which Rows counts; nil: 0.
	First []int
}

// addPositions checks the positions and makes them operands.
func (o *attention) addPositions() {
	p := o.Positions
	if p == nil {
		return
	}
	if o.SoftCap > 0 || o.Bias != nil || o.KeyHeads != o.Heads || p.Keys == nil && p.Queries == nil {
		fail(o.op, "relative positions with a cap of %v, a bias: %v, and %d key heads for %d heads", o.SoftCap, o.Bias != nil, o.KeyHeads, o.Heads)
	}
	if p.First != nil && len(p.First) != len(o.sequences) {
		fail(o.op, "first rows of relative positions for %d sequences of %d", len(p.First), len(o.sequences))
	}
	rows := Rows(cmp.Or(p.Queries, p.Keys))
	for _, x := range []mat.Tensor{p.Queries, p.Keys} {
		if x != nil && !slices.Equal(x.Shape(), []int{rows, o.Heads * o.size}) {
			fail(o.op, "relative positions are %v, want [%d %d]", x.Shape(), rows, o.Heads*o.size)
		}
	}
	for i := range o.sequences {
		if s := &o.sequences[i]; s.rows() > 0 {
			o.place(i, s, rows)
			o.work += o.Heads * (s.rows() + s.length()) * s.near.Len()
		}
	}
	if p.Keys != nil {
		o.keysAt = o.shared.add(p.Keys)
	}
	if p.Queries != nil {
		o.queriesAt = o.shared.add(p.Queries)
	}
}

// place finds the rows of the positions that the distances in a sequence name.
func (o *attention) place(number int, s *attended, rows int) {
	p, last := o.Positions, s.length()-1
	if p.Zero < last || p.Zero+s.rows() > len(p.Rows) {
		fail(o.op, "sequence %d has distances from %d to %d, the relative positions from %d to %d",
			number, -last, s.rows()-1, -p.Zero, len(p.Rows)-p.Zero-1)
	}
	s.distances = p.Rows[p.Zero-last : p.Zero+s.rows()]
	first := 0
	if p.First != nil {
		first = p.First[number]
	}
	s.nearest = slices.Min(s.distances)
	s.near = Span{first + s.nearest, first + slices.Max(s.distances) + 1}
	if first < 0 || s.nearest < 0 || s.near.End > rows {
		fail(o.op, "sequence %d has the relative positions [%d, %d) of %d", number, s.near.Start, s.near.End, rows)
	}
}

// headPositions are the products that a head adds for relative positions, of which it has n.
type headPositions struct {
	ofQueries view // of queries and position keys, [T, n]
	ofKeys    view // of keys and position queries, [S, n]
	first     int  // the query of the first row of ofQueries
}

// position multiplies the queries [from, to) and the first keys with the relative positions.
func (h *head) position(w *workspace, from, to, keys int) {
	if h.Positions == nil {
		return
	}
	n := h.near.Len()
	transposed := w.take(h.size, n)
	transpose := func(v view) { simd.Transpose(transposed.data, transposed.stride, v.data, v.stride, n, h.size) }
	h.positions.first = from
	if h.positionKeys.data != nil {
		h.positions.ofQueries = w.take(to-from, n)
		transpose(h.positionKeys)
		product(h.positions.ofQueries, h.queries.rowsFrom(from, to), false, transposed, false)
	}
	if h.positionQueries.data != nil {
		h.positions.ofKeys = w.take(keys, n)
		transpose(h.positionQueries)
		for at, rows := range h.keys.pieces(0, keys) {
			product(h.positions.ofKeys.rowsFrom(at, at+rows.rows), rows, false, transposed, false)
		}
	}
}

// add adds the products to those of a query and the keys from key on.
func (p *headPositions) add(h *head, row []float32, query, key int) {
	distances := h.distancesFrom(query, key, len(row))
	if p.ofQueries.data != nil {
		own := p.ofQueries.row(query - p.first)
		for i, r := range distances {
			row[i] += own[r-h.nearest]
		}
	}
	if p.ofKeys.data != nil {
		at, next := key*p.ofKeys.stride-h.nearest, p.ofKeys.stride
		for i, r := range distances {
			row[i] += p.ofKeys.data[at+i*next+r]
		}
	}
}

// collect adds the gradients of a row of scores to those of the products, which p are.
func (p *headPositions) collect(h *head, row []float32, query, key int) {
	distances := h.distancesFrom(query, key, len(row))
	if p.ofQueries.data != nil {
		own := p.ofQueries.row(query - p.first)
		for i, r := range distances {
			own[r-h.nearest] += row[i]
		}
	}
	if p.ofKeys.data != nil {
		at, next := key*p.ofKeys.stride-h.nearest, p.ofKeys.stride
		for i, r := range distances {
			p.ofKeys.data[at+i*next+r] += row[i]
		}
	}
}

// collectPositions adds the gradients of a tile's scores to those of the products with the
// positions. Keys that a query does not see have none.
func (t *tileGradients) collectPositions() {
	if t.Positions == nil {
		return
	}
	for r := range t.d.rows {
		t.ofPositions.collect(t.head, t.d.row(r), t.query+r, t.key)
	}
}

// distancesFrom are the rows of the distances of n keys from key on.
func (h *head) distancesFrom(query, key, n int) []int {
	return h.distances[h.length()-1-(h.past+query)+key:][:n]
}

// cleared takes memory of zeros for the gradients of the products.
func (p headPositions) cleared(w *workspace) headPositions {
	p.ofQueries, p.ofKeys = zerosLike(w, p.ofQueries), zerosLike(w, p.ofKeys)
	return p
}

func zerosLike(w *workspace, v view) view {
	if v.data == nil {
		return v
	}
	zeros := w.take(v.rows, v.cols)
	zeros.clear()
	return zeros
}

// differentiatePositions adds what the gradients of the products give to those of queries and
// keys, of which there may be gradients already, and to those of the positions.
func (h *headGradients) differentiatePositions(of headPositions) {
	if of.ofQueries.data != nil {
		if h.to.queries.data != nil {
			product(h.to.queries, of.ofQueries, false, h.positionKeys, true)
		}
		if h.to.positionKeys.data != nil {
			product(h.to.positionKeys, of.ofQueries, true, h.queries, true)
		}
	}
	if of.ofKeys.data == nil {
		return
	}
	for at, rows := range h.to.keys.pieces(0, of.ofKeys.rows) {
		if rows.data != nil {
			product(rows, of.ofKeys.rowsFrom(at, at+rows.rows), false, h.positionQueries, true)
		}
	}
	if h.to.positionQueries.data != nil {
		for at, rows := range h.keys.pieces(0, of.ofKeys.rows) {
			product(h.to.positionQueries, of.ofKeys.rowsFrom(at, at+rows.rows), true, rows, true)
		}
	}
}
