package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls f for ranges that cover [0, n) once, on up to GOMAXPROCS
// goroutines, and returns when all are done. A range has grain items, the last
// perhaps fewer. Ranges run in any order: f must write only what belongs to its
// items, and compute each item alone, so that results do not depend on the
// division. A panic in f goes on in the caller.
func parallel(n, grain int, f func(from, to int)) {
	ranges := (n + grain - 1) / grain
	workers := min(ranges, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		if n > 0 {
			f(0, n)
		}
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
			f(i*grain, min(n, (i+1)*grain))
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

// elements is how many elements are worth a goroutine when little is done to each.
const elements = 8192

// elementwise divides n elements.
func elementwise(n int, f func(from, to int)) { parallel(n, elements, f) }

// eachRow divides rows of cols elements.
func eachRow(rows, cols int, f func(from, to int)) {
	parallel(rows, max(1, elements/max(1, cols)), f)
}
