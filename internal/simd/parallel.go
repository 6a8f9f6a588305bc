package simd

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// rangesPerProcessor is how many ranges Parallel makes for each processor if there
// are enough items, so that one that is slowed down by other work does not hold up
// the rest.
const rangesPerProcessor = 4

// Parallel calls f for ranges [lo, hi) that cover [0, n) once, on up to GOMAXPROCS
// goroutines, and returns when all are done. A range has at least grain items, unless
// n is less; a single range runs on the caller's goroutine. Ranges run in any order and
// depend on GOMAXPROCS: f must compute each item alone. A panic in f goes on in
// the caller, with its value, once the other goroutines are done. Calls may be nested.
func Parallel(n, grain int, f func(lo, hi int)) {
	if n <= 0 {
		return
	}
	processors := runtime.GOMAXPROCS(0)
	ranges := min(n/max(1, grain), rangesPerProcessor*processors)
	workers := min(ranges, processors)
	if workers <= 1 {
		f(0, n)
		return
	}
	var next atomic.Int64
	var first atomic.Pointer[any] // what the first panic carried
	var wait sync.WaitGroup
	work := func() {
		defer func() {
			if recovered := recover(); recovered != nil {
				first.CompareAndSwap(nil, &recovered)
			}
		}()
		for i := int(next.Add(1)) - 1; i < ranges; i = int(next.Add(1)) - 1 {
			f(i*n/ranges, (i+1)*n/ranges)
		}
	}
	for range workers - 1 {
		wait.Go(work)
	}
	work()
	wait.Wait()
	if recovered := first.Load(); recovered != nil {
		panic(*recovered)
	}
}
