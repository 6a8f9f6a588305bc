package kernel_test

import (
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"pgregory.net/rapid"
)

// No two loans share memory, whatever comes and goes, and all of it can be lent again
// when it is back.
func TestPoolLendsEveryValueOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type loan struct {
			data []float32
			back func()
			mark float32
		}
		pool, mark := &kernel.Pool{Poison: true}, float32(0)
		var loans []loan
		t.Repeat(map[string]func(*rapid.T){
			"lend": func(t *rapid.T) {
				n := rapid.IntRange(1, 1<<16).Draw(t, "n")
				data, back := pool.Lend(n)
				if len(data) != n || cap(data) != n {
					t.Fatalf("asked for %d values, got %d of %d", n, len(data), cap(data))
				}
				mark++
				for i := range data {
					if !math.IsNaN(float64(data[i])) {
						t.Fatalf("value %d is %v: somebody's, or not poisoned", i, data[i])
					}
					data[i] = mark
				}
				loans = append(loans, loan{data, back, mark})
			},
			"give back": func(t *rapid.T) {
				if len(loans) == 0 {
					t.Skip("nothing is lent")
				}
				i := rapid.IntRange(0, len(loans)-1).Draw(t, "loan")
				for _, v := range loans[i].data {
					if v != loans[i].mark {
						t.Fatalf("loan %v holds %v", loans[i].mark, v)
					}
				}
				loans[i].back()
				loans = append(loans[:i], loans[i+1:]...)
			},
		})
		for _, l := range loans {
			l.back()
		}
		pieces, size := pool.Lent()
		if pieces != 0 {
			t.Fatalf("%d pieces are lent when all are back", pieces)
		}
		if size == 0 {
			return
		}
		pool.Lend(1 << 20) // the least slab
		if _, now := pool.Lent(); now != size {
			t.Fatalf("gaps did not become one: the pool had %d values, has %d", size, now)
		}
	})
}

// A loan from before Reset cannot be given back afterwards.
func TestResetEndsLoans(t *testing.T) {
	var pool kernel.Pool
	first, back := pool.Lend(100)
	pool.Reset()
	if pieces, _ := pool.Lent(); pieces != 0 {
		t.Errorf("%d pieces are lent after Reset", pieces)
	}
	second, _ := pool.Lend(100)
	back()
	if pieces, _ := pool.Lent(); &first[0] != &second[0] || pieces != 1 {
		t.Error("the first loan took the second one back")
	}
}

func TestPoolIsConcurrent(t *testing.T) {
	var pool kernel.Pool
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := range 200 {
				data, back := pool.Lend(1 + n)
				for j := range data {
					data[j] = float32(i)
				}
				for _, v := range data {
					if v != float32(i) {
						t.Error("two goroutines have one loan")
						break
					}
				}
				back()
			}
		})
	}
	wait.Wait()
	if pieces, _ := pool.Lent(); pieces != 0 {
		t.Errorf("%d pieces are lent", pieces)
	}
}

// Values that are released are gone for everybody but the backward passes that need
// them; leaves, and tensors without a pool, keep theirs.
func TestRelease(t *testing.T) {
	pool := &kernel.Pool{Poison: true}
	p := kernel.NewParam(2, 3, []float32{1, 2, 3, 4, 5, 6})
	x := kernel.WithPool(p, pool)
	y := kernel.Tanh(x) // needs its result
	kernel.Release(x)
	kernel.Release(y)
	kernel.Release(y)
	kernel.Release(p)
	numtest.SameBits(t, kernel.Data(p), []float32{1, 2, 3, 4, 5, 6})
	y.AccGrad(kernel.New(2, 3, []float32{1, 1, 1, 1, 1, 1}))
	if err := ag.Backward(y); err != nil {
		t.Fatal(err)
	}
	for i, v := range kernel.Data(p.Grad()) {
		tanh := math.Tanh(float64(i + 1))
		numtest.Close(t, []float32{v}, []float64{1 - tanh*tanh}, 1e-5, 1e-6)
	}
	defer func() {
		if recover() == nil {
			t.Error("the values are there after the backward pass")
		}
	}()
	kernel.Data(y)
}

func TestReplace(t *testing.T) {
	pool := new(kernel.Pool)
	x := kernel.Add(kernel.WithPool(kernel.New(1, 2, nil), pool), kernel.New(1, 2, []float32{1, 2}))
	x = kernel.Replace(x, kernel.Dropout(x, kernel.Mask{})) // is x itself
	x = kernel.Replace(x, kernel.Add(x, x))
	numtest.SameBits(t, kernel.Data(x), []float32{2, 4})
	kernel.Release(x)
	if pieces, _ := pool.Lent(); pieces != 0 {
		t.Errorf("%d pieces are lent", pieces)
	}
}

// pooled returns operators in memory of the pool instead of leaves.
func pooled(pool *kernel.Pool) func(mat.Tensor) mat.Tensor {
	return func(x mat.Tensor) mat.Tensor { return operator(kernel.WithPool(x, pool)) }
}

// A step with a pool gives the same bits as one without, though all that is given back
// is filled with NaN; steps after the first need no more memory, and all of it
// comes back without Reset.
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
			if pieces != 0 {
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
	// A collection empties sync.Pools; how often one comes depends on what else the machine does.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range 5 { // the pool grows while backward passes still find new orders
		step()
	}
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
