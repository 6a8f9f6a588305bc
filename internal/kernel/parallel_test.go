package kernel

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
)

func TestParallelCoversOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(5))
	for _, n := range []int{0, 1, 2, 7, 64, 1001} {
		for _, grain := range []int{1, 3, 64, 5000} {
			counts := make([]int32, n)
			parallel(n, grain, func(from, to int) {
				for i := from; i < to; i++ {
					atomic.AddInt32(&counts[i], 1)
				}
			})
			if !slices.Equal(counts, slices.Repeat([]int32{1}, n)) {
				t.Errorf("parallel(%d, %d) visits items %v times", n, grain, counts)
			}
		}
	}
}

// A mistake inside a goroutine reaches the caller, who can recover it.
func TestParallelPanicsInTheCaller(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	defer func() {
		if r := recover(); r != "item 77" {
			t.Errorf("recovered %v, want the panic of f", r)
		}
	}()
	parallel(100, 1, func(from, _ int) {
		if from == 77 {
			panic("item 77")
		}
	})
	t.Error("the panic was lost")
}
