package simd

import (
	"math"
	"slices"
	"sync"
)

// multiplyGeneric computes a tile a pair of rows at a time.
func multiplyGeneric(t *tile) {
	buffer := leftRows.Get().(*[]float32)
	defer leftRows.Put(buffer)
	n := t.n * t.op.steps()
	a := slices.Grow((*buffer)[:0], 2*n)[:2*n]
	*buffer = a
	for at := 0; at < t.rows*t.groups; at += 2 {
		second := min(at+1, t.rows*t.groups-1)
		t.left(a[:n], at)
		t.left(a[n:], second)
		t.multiplyPair(a[:n], a[n:], t.c[at*t.cStride:][:4], t.c[second*t.cStride:][:4])
	}
}

// leftRows are pairs of rows of left-hand sides.
var leftRows = sync.Pool{New: func() any { return new([]float32) }}

// steps is how many elements of a row of a are multiplied in a step.
func (op operation) steps() int {
	if op == multiplyBFloat16 {
		return 2
	}
	return 1
}

// left copies row r of a.
func (t *tile) left(row []float32, r int) {
	if t.op != multiplyTransposed {
		copy(row, t.a[r*t.aStride:])
		return
	}
	for i := range row {
		row[i] = t.a[i*t.aStride+r]
	}
}

// multiplyPair keeps 2 rows × 4 columns of sums. A single row is computed twice, so that its sums are those
// of a pair's.
func (t *tile) multiplyPair(x, y, c0, c1 []float32) {
	s, u := [4]float32(c0), [4]float32(c1)
	if t.start != nil {
		s = [4]float32(t.start)
		u = s
	}
	s0, s1, s2, s3 := s[0], s[1], s[2], s[3]
	u0, u1, u2, u3 := u[0], u[1], u[2], u[3]
	y = y[:len(x)]
	for i, a := range x {
		b := y[i]
		p := t.right(i)
		s0 += a * p[0]
		s1 += a * p[1]
		s2 += a * p[2]
		s3 += a * p[3]
		u0 += b * p[0]
		u1 += b * p[1]
		u2 += b * p[2]
		u3 += b * p[3]
	}
	c0[0], c0[1], c0[2], c0[3] = s0, s1, s2, s3
	c1[0], c1[1], c1[2], c1[3] = u0, u1, u2, u3
}

// right returns row i of b, widened.
func (t *tile) right(i int) (p [4]float32) {
	switch t.op {
	case multiplyBFloat16:
		for j, pair := range bits(t.b[i/2*t.bStride:][:4]) {
			p[j] = math.Float32frombits(pair >> (16 * (i & 1)) << 16)
		}
	case multiplyFloat16:
		widenFloat16Generic(p[:], words(t.b[i*t.bStride:][:2]))
	default:
		p = [4]float32(t.b[i*t.bStride:])
	}
	return p
}
