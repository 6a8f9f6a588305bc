// Package peak measures what the processors can do at most: floating-point operations a
// second, by multiplications and additions in registers, without any load or store, and
// bytes a second that they read from memory. Begin at [Measure]. Benchmarks state their share of it; the library does not use it.
package peak

import (
	"math"
	"runtime"
	"sync"
	"time"
)

// Rate is of all GOMAXPROCS processors together: operations a second, a multiplication
// and an addition counted as two, where 0 means that there is no loop for this kind of
// number on this CPU; and bytes read a second.
type Rate struct{ Float32, BFloat16, Read float64 }

// loop multiplies and adds in registers.
type loop struct {
	run        func(turns int)
	operations int // of a turn
}

// Measure runs the loops for about half a second each and returns the best rates.
func Measure() Rate {
	float32s, bfloat16s := loops()
	return Rate{Float32: float32s.best(), BFloat16: bfloat16s.best(), Read: read(1 << 30)}
}

func (l loop) best() (rate float64) {
	if l.run == nil {
		return 0
	}
	const turns = 1 << 22
	return float64(l.operations) * turns * float64(runtime.GOMAXPROCS(0)) / fastest(func(int) { l.run(turns) })
}

// fastest runs f a few times on all processors at once, with their numbers, and returns the shortest time in seconds.
func fastest(f func(processor int)) float64 {
	const runs = 10
	best := math.Inf(1)
	for range runs {
		var wait sync.WaitGroup
		started := time.Now()
		for p := range runtime.GOMAXPROCS(0) {
			wait.Go(func() { f(p) })
		}
		wait.Wait()
		best = min(best, time.Since(started).Seconds())
	}
	return best
}

// read measures reading, with so much memory that it is in no cache: servers have some of hundreds of megabytes.
func read(bytes int) (rate float64) {
	words := make([]uint64, bytes/8)
	for i := range words {
		words[i] = uint64(i) // memory that was never written may be one page, over and over
	}
	processors := runtime.GOMAXPROCS(0)
	sums := make([]uint64, processors)
	seconds := fastest(func(p int) {
		sums[p] = sum(words[p*len(words)/processors : (p+1)*len(words)/processors])
	})
	runtime.KeepAlive(sums)
	return float64(bytes) / seconds
}

// sum adds words, eight at a time, in four places at once: much faster than they come from memory, which gives a processor up to twice
// as much from several places as from one.
func sum(words []uint64) (total uint64) {
	const line, places = 8, 4
	part := len(words) / places / line * line
	var sums [places]uint64
	for at := 0; at < part; at += line {
		for p := range places {
			w := words[p*part+at:][:line]
			sums[p] += w[0] + w[1] + w[2] + w[3] + w[4] + w[5] + w[6] + w[7]
		}
	}
	for _, w := range words[places*part:] {
		total += w
	}
	return total + sums[0] + sums[1] + sums[2] + sums[3]
}
