package kernel

import (
	"math"
	"slices"
	"sync"
)

// Pool lends tensors their memory, so that one step after another works in the same. The
// zero Pool is empty and ready; a nil *Pool stands for garbage-collected memory.
//
// A tensor knows its pool, and a result takes the pool of its operands: memory comes from
// the pool for all that is computed from [Embed] or [WithPool]. Values go back by
// [Release]; those of a graph go back in the backward pass, as soon as nobody needs them,
// and so do its gradients. Until then, or until Reset, they stay as they are.
//
// A Pool may be used by many goroutines. It never gives memory back to the runtime.
type Pool struct {
	// Poison overwrites memory that nobody has with NaN, for tests: what is read too early
	// or too late shows.
	Poison bool

	mu    sync.Mutex
	slabs []*slab
	size  int // of all slabs
	loans int // that have not come back
	round int // calls of Reset
}

const (
	line     = 16      // values, 64 bytes: every loan begins at a cache line
	leastNew = 1 << 20 // values of the smallest slab
)

// slab is memory that is lent in parts. The gaps between loans lie in order, and
// neighbours are one.
type slab struct {
	data []float32
	gaps []gap
}

type gap struct{ from, to int }

// loan is memory of a slab; the zero loan is none.
type loan struct {
	slab  *slab
	gap   gap
	round int
}

// NewPool returns an empty pool.
func NewPool() *Pool { return new(Pool) }

// Reset takes back everything that is lent. Tensors that have it must not be read again.
func (p *Pool) Reset() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.round++
	p.loans = 0
	for _, s := range p.slabs {
		s.gaps = append(s.gaps[:0], gap{0, len(s.data)})
		p.poison(s.data)
	}
}

// lend returns n values, which are not set. The first gap that is large enough is taken:
// what is lent stays close together, and batches of other sizes find gaps that fit.
func (p *Pool) lend(n int) ([]float32, loan) {
	size := (n + line - 1) / line * line
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slabs {
		if g, ok := s.take(size); ok {
			return p.loan(s, g, n)
		}
	}
	// Slabs grow with the pool, so that there are few, and what is left at their ends is little.
	s := &slab{data: make([]float32, max(size, p.size/2, leastNew))}
	s.gaps = []gap{{0, len(s.data)}}
	p.poison(s.data)
	p.slabs, p.size = append(p.slabs, s), p.size+len(s.data)
	g, _ := s.take(size)
	return p.loan(s, g, n)
}

func (p *Pool) loan(s *slab, g gap, n int) ([]float32, loan) {
	p.loans++
	return s.data[g.from : g.from+n : g.from+n], loan{s, g, p.round}
}

// giveBack ends a loan, unless Reset has done so.
func (p *Pool) giveBack(l loan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.round != p.round {
		return
	}
	p.loans--
	p.poison(l.slab.data[l.gap.from:l.gap.to])
	l.slab.put(l.gap)
}

func (p *Pool) poison(values []float32) {
	if !p.Poison {
		return
	}
	nan := float32(math.NaN())
	for i := range values {
		values[i] = nan
	}
}

// take cuts n values from the first gap that has them.
func (s *slab) take(n int) (gap, bool) {
	for i := range s.gaps {
		g := &s.gaps[i]
		if g.to-g.from < n {
			continue
		}
		taken := gap{g.from, g.from + n}
		if g.from += n; g.from == g.to {
			s.gaps = slices.Delete(s.gaps, i, i+1)
		}
		return taken, true
	}
	return gap{}, false
}

// put adds a gap, as part of its neighbours.
func (s *slab) put(g gap) {
	i, _ := slices.BinarySearchFunc(s.gaps, g.from, func(other gap, from int) int { return other.from - from })
	before, after := i > 0 && s.gaps[i-1].to == g.from, i < len(s.gaps) && s.gaps[i].from == g.to
	switch {
	case before && after:
		s.gaps[i-1].to = s.gaps[i].to
		s.gaps = slices.Delete(s.gaps, i, i+1)
	case before:
		s.gaps[i-1].to = g.to
	case after:
		s.gaps[i].from = g.from
	default:
		s.gaps = slices.Insert(s.gaps, i, g)
	}
}

// tensor returns a tensor whose values are not set.
func (p *Pool) tensor(rows, cols int) *Tensor {
	if p == nil || rows*cols == 0 {
		t := New(rows, cols, nil)
		t.pool = p
		return t
	}
	data, l := p.lend(rows * cols)
	t := New(rows, cols, data)
	t.pool, t.loan = p, l
	return t
}
