package kernel_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"pgregory.net/rapid"
)

// Whatever is lent and given back in whatever order, no two loans share memory, and
// when all is back there is one free piece again: as much as the slab can be lent.
func TestPoolLoans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := kernel.NewPool()
		type loan struct {
			values []float32
			mark   float32
		}
		var loans []loan
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(loans) > 0 && rapid.Bool().Draw(t, "give back") {
				i := rapid.IntRange(0, len(loans)-1).Draw(t, "which")
				p.GiveBack(loans[i].values)
				loans = slices.Delete(loans, i, i+1)
			} else {
				x := p.Lend(rapid.IntRange(1, 200_000).Draw(t, "values"))
				for i := range x {
					x[i] = float32(step)
				}
				loans = append(loans, loan{x, float32(step)})
			}
			for _, l := range loans {
				for _, v := range l.values {
					if v != l.mark {
						t.Fatalf("a loan of step %v holds %v", l.mark, v)
					}
				}
			}
		}
		for _, l := range loans {
			p.GiveBack(l.values)
			p.GiveBack(l.values) // what is back is left alone
		}
		pieces, values := p.Lent()
		if pieces != 0 {
			t.Fatalf("%d loans are left", pieces)
		}
		p.Lend(1 << 20) // the size of the first slab
		if _, now := p.Lent(); now != values {
			t.Fatalf("the first slab was not free: %d values, before %d", now, values)
		}
	})
}

// A step with a pool gives the same bits as one without, though all that is given back
// is filled with NaN; steps after the first need no more memory, and all of it
// comes back in the backward pass but for what no operator made.
func TestStackWithPool(t *testing.T) {
	s, spans := newStack(3, 64, 4, 256, 5, kernel.Float32), spansOf(70, 1, 33, 90, 6)
	x, weight := numtest.Normal(1, 200*64, 1), numtest.Normal(2, 200*64, 1)
	for _, drop := range []float32{0, 0.1} {
		s.pool = nil
		y := s.forward(x, spans, drop)
		wantValue := slices.Clone(kernel.Data(y))
		wantGradient := s.backward(t, y, weight)
		s.pool = kernel.NewPool()
		s.pool.Poison = true
		most := 0
		for step := range 4 {
			y := s.forward(x, spans, drop)
			numtest.SameBits(t, kernel.Data(y), wantValue)
			numtest.SameBits(t, s.backward(t, y, weight), wantGradient)
			pieces, values := s.pool.Lent()
			if pieces > 3 { // the embeddings, and what the first layer made of them before the prefix came in
				t.Errorf("%d pieces are lent after the backward pass", pieces)
			}
			if step == 0 {
				most = values
			} else if values != most {
				t.Errorf("step %d: the pool has %d values, after the first step %d", step, values, most)
			}
			s.pool.Reset()
		}
	}
}

// After the first step a step allocates small objects only: the graph's.
func TestStackAllocatesLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("under the race detector, with which short tests run, sync.Pool forgets")
	}
	s, spans := newStack(3, 64, 4, 256, 5, kernel.Float32), spansOf(128, 128, 128, 128)
	s.pool = kernel.NewPool()
	const rows = 4 * 128
	x, weight := numtest.Normal(1, rows*64, 1), numtest.Normal(2, rows*64, 1)
	step := func() {
		s.backward(t, s.forward(x, spans, 0), weight)
		s.pool.Reset()
	}
	step()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const steps = 10
	for range steps {
		step()
	}
	runtime.ReadMemStats(&after)
	perStep := float64(after.TotalAlloc-before.TotalAlloc) / steps
	// The values and gradients of a step; backward clones the weight it is given.
	activations := 4.0 * rows * 64 * 3 * (3 + 1 + 1 + 1 + 4 + 4 + 1 + 1)
	if given := 4.0 * rows * 64; perStep-given > activations/4 {
		t.Errorf("a step allocates %.0f bytes, its activations have %.0f", perStep, activations)
	}
}
