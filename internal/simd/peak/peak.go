// Package peak measures how many floating-point operations a second the processors can
// do at most: multiplications and additions in registers, without any load or store.
// Begin at [Measure]. Benchmarks state their share of it; the library does not use it.
package peak

import (
	"runtime"
	"sync"
	"time"
)

// Rate is operations a second of all GOMAXPROCS processors together, a
// multiplication and an addition counted as two. 0 means that there is no loop for this
// kind of number on this CPU.
type Rate struct{ Float32, BFloat16 float64 }

// loop multiplies and adds in registers.
type loop struct {
	run        func(turns int)
	operations int // of a turn
}

// Measure runs the loops for about half a second each and returns the best rates.
func Measure() Rate {
	float32s, bfloat16s := loops()
	return Rate{Float32: float32s.best(), BFloat16: bfloat16s.best()}
}

func (l loop) best() (rate float64) {
	if l.run == nil {
		return 0
	}
	const runs, turns = 10, 1 << 22
	for range runs {
		var wait sync.WaitGroup
		started := time.Now()
		for range runtime.GOMAXPROCS(0) {
			wait.Go(func() { l.run(turns) })
		}
		wait.Wait()
		done := float64(l.operations) * turns * float64(runtime.GOMAXPROCS(0))
		rate = max(rate, done/time.Since(started).Seconds())
	}
	return rate
}
