package kernel

import (
	"math"
	"slices"
	"sync"
	"unsafe"

	"github.com/nlpodyssey/spago/mat"
)

// Pool lends the memory of a step: of values, of gradients and of what operators
// keep for the backward pass. The first tensor of a step is made with the pool
// ([Embed]); results take it over from their operands. The backward pass gives
// memory back as soon as it is used, [Release] and [Pool.Reset] give back the rest.
// A nil *Pool is ordinary memory. A Pool may be used by many goroutines, but only
// for one step at a time.
type Pool struct {
	// Poison fills memory that comes back with NaN, so that a later use shows: for tests.
	Poison bool

	mu    sync.Mutex
	slabs []*slab
	lent  map[*float32]loan
}

// slab is a piece of memory of which parts are lent.
type slab struct {
	data []float32
	free []extent // sorted, and no two of them touch
}

// extent is [from, to) of a slab.
type extent struct{ from, to int }

type loan struct {
	slab *slab
	extent
}

// NewPool returns an empty pool.
func NewPool() *Pool { return &Pool{lent: map[*float32]loan{}} }

// smallestSlab is the number of values in a pool's first slab.
const smallestSlab = 1 << 20

// lend returns n values that are not set.
func (p *Pool) lend(n int) []float32 {
	if p == nil || n == 0 {
		return make([]float32, n)
	}
	const line = 16 // values in a cache line
	size := (n + line - 1) / line * line
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slabs {
		if x := p.from(s, size); x != nil {
			return x[:n]
		}
	}
	total := 0
	for _, s := range p.slabs {
		total += len(s.data)
	}
	next := &slab{data: make([]float32, max(size, total/4, smallestSlab))}
	next.free = []extent{{0, len(next.data)}}
	p.slabs = append(p.slabs, next)
	return p.from(next, size)[:n]
}

// from lends the smallest free part of a slab that is large enough, or nil.
func (p *Pool) from(s *slab, size int) []float32 {
	best := -1
	for i, e := range s.free {
		if n := e.to - e.from; n >= size && (best < 0 || n < s.free[best].to-s.free[best].from) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	e := &s.free[best]
	x := s.data[e.from : e.from+size : e.from+size]
	p.lent[unsafe.SliceData(x)] = loan{s, extent{e.from, e.from + size}}
	if e.from += size; e.from == e.to {
		s.free = slices.Delete(s.free, best, best+1)
	}
	return x
}

// giveBack takes lent values back. Values that are not the pool's are left alone.
func (p *Pool) giveBack(x []float32) {
	if p == nil || len(x) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.lent[unsafe.SliceData(x)]
	if !ok {
		return
	}
	delete(p.lent, unsafe.SliceData(x))
	if p.Poison {
		for i := range x {
			x[i] = float32(math.NaN())
		}
	}
	l.slab.put(l.extent)
}

// put joins a part with the free ones beside it.
func (s *slab) put(e extent) {
	i, _ := slices.BinarySearchFunc(s.free, e.from, func(f extent, from int) int { return f.from - from })
	if i < len(s.free) && s.free[i].from == e.to {
		e.to = s.free[i].to
		s.free = slices.Delete(s.free, i, i+1)
	}
	if i > 0 && s.free[i-1].to == e.from {
		s.free[i-1].to = e.to
		return
	}
	s.free = slices.Insert(s.free, i, e)
}

// Reset takes back all that is lent: no tensor that was made with the pool may be
// used any more.
func (p *Pool) Reset() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.lent)
	for _, s := range p.slabs {
		s.free = append(s.free[:0], extent{0, len(s.data)})
		if p.Poison {
			for i := range s.data {
				s.data[i] = float32(math.NaN())
			}
		}
	}
}

// poolOf returns the pool of the first tensor that has one.
func poolOf(xs ...mat.Tensor) *Pool {
	for _, x := range xs {
		if own, ok := x.Value().(*Tensor); ok && own.pool != nil {
			return own.pool
		}
	}
	return nil
}

// unset returns a tensor whose values are not set.
func (p *Pool) unset(rows, cols int) *Tensor {
	t := New(rows, cols, p.lend(rows*cols))
	t.pool = p
	return t
}

// zeros returns a tensor of zeros.
func (p *Pool) zeros(rows, cols int) *Tensor {
	t := p.unset(rows, cols)
	if p != nil {
		clear(t.data)
	}
	return t
}

// copyOf returns a tensor with these values.
func (p *Pool) copyOf(rows, cols int, values []float32) *Tensor {
	t := p.unset(rows, cols)
	copy(t.data, values)
	return t
}

// Release gives back the memory of a tensor that nothing uses any more, ahead of
// [Pool.Reset]. One that a backward pass will need, or that is not of a pool, is left
// alone: whoever made a tensor and passed it on may always release it.
func Release(x mat.Tensor) {
	if t, ok := x.(*Tensor); ok && !t.held {
		t.release()
	}
}

// release gives a tensor's memory back.
func (t *Tensor) release() {
	if t.pool != nil {
		t.pool.giveBack(t.data)
		t.pool = nil
	}
}
