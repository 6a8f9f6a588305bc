package simd

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// setLevel makes a level the active one until restore is called.
func setLevel(t testing.TB, level Level) (restore func()) {
	t.Helper()
	for _, k := range available() {
		if k.level == level {
			before := active
			active = k
			return func() { active = before }
		}
	}
	t.Skipf("this CPU or build does not have %v", level)
	return nil
}

// eachLevel runs a test with every level that this machine can run.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for _, k := range available() {
		t.Run(k.level.String(), func(t *testing.T) {
			defer setLevel(t, k.level)()
			f(t)
		})
	}
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// inside returns n values at an odd place of a larger slice filled with a mark, and a function that
// fails the test if anything around them was written.
func inside(t testing.TB, values []float32) (x []float32, untouched func()) {
	t.Helper()
	const mark, margin = -77, 33
	all := slices.Repeat([]float32{mark}, len(values)+2*margin)
	x = all[margin:][:len(values)]
	copy(x, values)
	return x, func() {
		t.Helper()
		for i, v := range all {
			if (i < margin || i >= margin+len(values)) && v != mark {
				t.Fatalf("value %d beside a slice of %d was written", i-margin, len(values))
			}
		}
	}
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

func TestLevels(t *testing.T) {
	levels := available()
	if last := levels[len(levels)-1].level; last != Generic {
		t.Errorf("the last level is %v, want generic", last)
	}
	if !slices.IsSortedFunc(levels, func(a, b *kernels) int { return int(b.level - a.level) }) {
		t.Error("the best level does not come first")
	}
	if Active() != levels[0].level {
		t.Errorf("%v is in use, want %v", Active(), levels[0].level)
	}
}

func TestParallelCoversOnce(t *testing.T) {
	for _, processors := range []int{1, 2, 7} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		for _, n := range []int{-1, 0, 1, 2, 3, 16, 17, 1000} {
			for _, grain := range []int{-1, 0, 1, 5, 16, 2000} {
				visits := make([]atomic.Int32, max(0, n))
				Parallel(n, grain, func(lo, hi int) {
					if hi-lo < min(grain, n) {
						t.Errorf("n %d, grain %d: a range of %d", n, grain, hi-lo)
					}
					for i := lo; i < hi; i++ {
						visits[i].Add(1)
					}
				})
				for i := range visits {
					if v := visits[i].Load(); v != 1 {
						t.Fatalf("n %d, grain %d: item %d was visited %d times", n, grain, i, v)
					}
				}
			}
		}
	}
}

func TestParallelNested(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	var visits atomic.Int64
	Parallel(10, 1, func(lo, hi int) {
		for range hi - lo {
			Parallel(10, 1, func(lo, hi int) {
				Parallel(hi-lo, 1, func(lo, hi int) { visits.Add(int64(hi - lo)) })
			})
		}
	})
	if visits.Load() != 100 {
		t.Errorf("%d visits, want 100", visits.Load())
	}
}

func TestParallelPanics(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for _, where := range []int{0, 50, 99} {
		var done atomic.Int64
		got := recovered(func() {
			Parallel(100, 1, func(lo, hi int) {
				if lo <= where && where < hi {
					panic("the value")
				}
				done.Add(int64(hi - lo))
			})
		})
		if got != "the value" {
			t.Errorf("recovered %v, want the value of the panic", got)
		}
	}
}

// recovered returns what f panics with, nil if it does not.
func recovered(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// What does not fit panics before anything is written.
func TestLengths(t *testing.T) {
	x, y := make([]float32, 20), make([]float32, 19)
	var m Matrix
	m.Pack(make([]float32, 12), 4, 3, 4)
	for name, f := range map[string]func(){
		"unary":               func() { GELU(x, y) },
		"gradient":            func() { GELUGradient(x, x, y) },
		"add":                 func() { Add(x, y) },
		"axpy":                func() { Axpy(1, x, y) },
		"dot":                 func() { Dot(x, y) },
		"softmax gradient":    func() { SoftmaxBackwardRow(x, y, 1, 0, 1, 0) },
		"norm":                func() { LayerNormRow(x, x, x, nil, x, y, 0) },
		"norm residual":       func() { LayerNormRow(x, x, x, y, x, x, 0) },
		"norm gradient":       func() { LayerNormBackwardRow(x, x, y, x, 1) },
		"rms norm":            func() { RMSNormRow(x, y, x, nil, x, 0) },
		"adamw":               func() { AdamW(x, x, x, y, AdamWNumbers{Step: 1}) },
		"pack":                func() { m.Pack(x, 7, 3, 7) },
		"pack transposed":     func() { m.PackTransposed(x, 7, 3, 7) },
		"pack nothing":        func() { m.Pack(x, 7, 0, 7) },
		"stride":              func() { m.Pack(x, 4, 2, 5) },
		"product c":           func() { m.Mul(x, 4, make([]float32, 18), 3, 6, nil, false) },
		"product a":           func() { m.Mul(x, 4, y, 4, 6, nil, false) },
		"product bias":        func() { m.Mul(x, 4, y, 3, 2, x, false) },
		"bias and accumulate": func() { m.Mul(x, 4, y, 3, 2, x[:4], true) },
		"weight gradient":     func() { GemmTN(x, 5, x, 4, x, 5, 4, 5, 6, false) },
	} {
		t.Run(name, func(t *testing.T) {
			m.Pack(make([]float32, 12), 4, 3, 4)
			if recovered(f) == nil {
				t.Error("no panic")
			}
		})
	}
}

// Jobs that follow at once, from several goroutines and nested, are done by helpers that
// look for them; every item is done once.
func TestParallelShortJobs(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			for jobs := range 300 {
				n := 1 + jobs%40
				done := make([]atomic.Int32, n)
				Parallel(n, 1, func(lo, hi int) {
					for i := lo; i < hi; i++ {
						if i%7 == 0 {
							Parallel(3, 1, func(lo, hi int) { done[i].Add(int32(10 * (hi - lo))) })
						}
						done[i].Add(1)
					}
				})
				for i := range done {
					want := int32(1)
					if i%7 == 0 {
						want = 31
					}
					if got := done[i].Load(); got != want {
						t.Errorf("item %d of %d was counted %d, want %d", i, n, got, want)
						return
					}
				}
			}
		})
	}
	wait.Wait()
	if n := looking.Load(); n < 0 || n > 9*3 {
		t.Errorf("%d helpers look for jobs", n)
	}
}
