package peak

import (
	"runtime"
	"testing"
)

// A loop that did not run its turns would have a rate without bound, and one that did
// none of its work would be faster than any processor.
func TestMeasure(t *testing.T) {
	float32s, bfloat16s := loops()
	for name, l := range map[string]loop{"float32": float32s, "bfloat16": bfloat16s} {
		if l.run == nil {
			t.Logf("%s: no loop for this CPU", name)
			continue
		}
		if rate := l.best(); rate < 1e9 || rate > 1e13*float64(runtime.GOMAXPROCS(0)) {
			t.Errorf("%s: %.3g operations a second", name, rate)
		}
	}
}

// A loop that did not read would have a rate without bound.
func TestRead(t *testing.T) {
	if rate := read(32 << 20); rate < 1e8 || rate > 1e12*float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%.3g bytes a second", rate)
	}
	words := make([]uint64, 1003)
	var want uint64
	for i := range words {
		words[i] = uint64(i) << (i % 50)
		want += words[i]
	}
	if got := sum(words); got != want {
		t.Errorf("sum = %d, want %d", got, want)
	}
}

func BenchmarkPeak(b *testing.B) {
	var r Rate
	for b.Loop() {
		r = Measure()
	}
	b.ReportMetric(r.Float32/1e9, "GFLOPS")
	b.ReportMetric(r.BFloat16/1e9, "bf16-GFLOPS")
	b.ReportMetric(r.Read/1e9, "read-GB/s")
}
