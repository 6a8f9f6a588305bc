package simd

import (
	"runtime"
	"sync/atomic"
	"time"
)

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
	grain = max(1, grain)
	helpers := min(n/grain, processors) - 1
	if helpers < 1 {
		f(0, n)
		return
	}
	j := &job{f: f, n: n, grain: grain, shares: 2 * processors, wanted: int64(helpers), done: make(chan struct{}, 1)}
	for range helpers - offer(j) {
		go help(j)
	}
	j.work()
	j.close()
	if recovered := j.panicked.Load(); recovered != nil {
		panic(*recovered)
	}
}

// job is one call of Parallel.
type job struct {
	f        func(lo, hi int)
	n, grain int
	shares   int          // a range is this part of what is left
	next     atomic.Int64 // item to do
	wanted   int64        // helpers
	helpers  atomic.Int64 // at work, and closed more once the job takes no more
	done     chan struct{}
	panicked atomic.Pointer[any] // what the first panic carried
}

const closed = -1 << 32

// enter counts a helper in, unless the job is closed, has enough of them or no range left:
// a helper that looks for work would come back to such a job until it is closed.
func (j *job) enter() bool {
	for {
		helpers := j.helpers.Load()
		if helpers < 0 || helpers >= j.wanted || j.next.Load() >= int64(j.n) {
			return false
		}
		if j.helpers.CompareAndSwap(helpers, helpers+1) {
			return true
		}
	}
}

// work does ranges until none is left.
func (j *job) work() {
	defer func() {
		if recovered := recover(); recovered != nil {
			kept := recovered // in memory of its own only where there is a panic
			j.panicked.CompareAndSwap(nil, &kept)
		}
	}()
	for lo, hi := j.take(); lo < hi; lo, hi = j.take() {
		j.f(lo, hi)
	}
}

// take returns the next range. Ranges become shorter, so that a processor that is slowed down
// by other work does not hold up the rest at the end, and the first ones are long, as it
// takes less to do one range than two.
func (j *job) take() (lo, hi int) {
	for {
		lo := j.next.Load()
		left := j.n - int(lo)
		if left <= 0 {
			return 0, 0
		}
		shares := min(max(1, left/j.grain), j.shares)
		size := (left + shares - 1) / shares
		if j.next.CompareAndSwap(lo, lo+int64(size)) {
			return int(lo), int(lo) + size
		}
	}
}

// leave counts a helper out.
func (j *job) leave() {
	if j.helpers.Add(-1) == closed {
		j.done <- struct{}{}
	}
}

// close lets no more helpers in and waits for those at work.
func (j *job) close() {
	offered.CompareAndSwap(j, nil)
	if j.helpers.Add(closed) == closed {
		return
	}
	for began := time.Now(); time.Since(began) < patience; {
		if j.helpers.Load() == closed {
			return
		}
	}
	<-j.done
}

// help works on a job and on those that follow at once. To wake a processor takes
// longer than many of the products that a single short text needs, so after a short
// job a helper looks for the next one for a moment before it ends.
func help(j *job) {
	if !j.enter() {
		return
	}
	for j != nil {
		began := time.Now()
		j.work()
		j.leave()
		if time.Since(began) > short {
			return
		}
		j = await()
	}
}

const (
	short    = 300 * time.Microsecond
	patience = 30 * time.Microsecond
)

// Where helpers that look for a job find one.
var (
	looking atomic.Int64
	offered atomic.Pointer[job]
)

// offer shows a job to the helpers that look for one, also to those that will in a
// moment, and returns how many look for one now.
func offer(j *job) int {
	if !offered.CompareAndSwap(nil, j) {
		return 0
	}
	// One that gives up looks at what is offered once more after it has counted itself out.
	return int(min(looking.Load(), j.wanted))
}

// await looks for a job for a moment.
func await() *job {
	looking.Add(1)
	for began := time.Now(); time.Since(began) < patience; {
		for range 16 {
			if j := offered.Load(); j != nil && j.enter() {
				looking.Add(-1)
				return j
			}
		}
	}
	looking.Add(-1)
	if j := offered.Load(); j != nil && j.enter() {
		return j
	}
	return nil
}
