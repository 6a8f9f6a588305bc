package main

import (
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	got := table{{"what", "ratio"}, {"a", "2"}}.String()
	if want := "| what | ratio |\n| --- | --- |\n| a | 2 |\n"; got != want {
		t.Errorf("table = %q, want %q", got, want)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		row    row
		figure float64
		want   string
	}{
		{row{data: full}, 1234567.4, "1,234,567 tok/s"},
		{row{data: full}, 999, "999 tok/s"},
		{row{data: full}, 99.96, "100 tok/s"},
		{row{data: request}, 0.01234, "12.3 ms"},
		{row{kind: starting}, 3.456, "3.46 s"},
		{row{kind: generating, data: decoding}, 12.3, "12.3 tok/s"},
		{row{kind: generating, data: firstToken}, 1.5, "1.5 s"},
	} {
		if got := c.row.format(c.figure); got != c.want {
			t.Errorf("format(%v) = %q, want %q", c.figure, got, c.want)
		}
	}
}

// sample is a run of three rows in which everything is known.
func sample() *bench {
	p := &prepared{
		row:  row{title: "train it", kind: training, method: "prefix", data: full, goal: 1.6, share: 0.7, memory: 1.0 / 3},
		ours: &side{figures: []float64{300, 100, 200}, rates: []float64{30e9, 10e9, 20e9}, memory: []float64{2e8}},
		theirs: []*side{
			{figures: []float64{50}, rates: []float64{5e9}, memory: []float64{9e8}},
			{policy: "PASSIVE", figures: []float64{100}, rates: []float64{10e9}, memory: []float64{8e8}},
		},
		operators: []operatorTime{{"linear forward", 0.6}, {rest, 0.4}},
	}
	q := *p
	q.title, q.goal, q.bf16, q.operators = "another", 3, true, []operatorTime{{"attention forward", 1}}
	d := *p
	d.row = row{title: "decode", kind: generating, base: smolLM2, method: "prefix", data: data{batch: 1, written: 2, calls: 1}, goal: 2}
	d.sizes = sizes{Layers: 1, Hidden: 1000, Keys: 1000, Intermediate: 1000, Vocab: 1000} // 8 million weights
	d.lengths = []int{5}
	d.operators = nil
	b := &bench{prepared: []*prepared{p, &q, &d}, settings: settings{rounds: 3}}
	b.peak.Float32, b.peak.BFloat16 = 40e9, 80e9
	b.peak.Read = 20e9
	return b
}

func TestDocument(t *testing.T) {
	got := sample().document()
	for _, want := range []string{
		"| train it | 200 tok/s | 300 tok/s | 100 tok/s | 100 tok/s | **2.00×** | ≥ 1.6× | yes | 50 % | 25 % | ≥ 70 % |",
		"| another | 200 tok/s | 300 tok/s | 100 tok/s | 100 tok/s | **2.00×** | ≥ 3× | no | 25 % | 12 % | ≥ 70 % |",
		"| train it | 200 MB | 800 MB | 0.25 | ≤ 0.33 | yes |",
		"| decode | 200 tok/s | 300 tok/s | 100 tok/s | 100 tok/s | **2.00×** | ≥ 2× | yes | 100 % | 50 % | – |",
		"Of SmolLM2 that is 32 MB in float32 a token",
		"| attention forward | – | 100.0 % |",
		"| linear forward | 60.0 % | – |",
		"40 GFLOPS in float32, 80 in bfloat16",
		"20.0 GB/s read by all cores",
		"| PASSIVE |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the document has no line %s\n%s", want, got)
		}
	}
	if strings.Contains(got, "{") {
		t.Error("the document has a place that was not filled")
	}
}

// A trace as `go tool pprof -traces` of Go 1.26 prints it.
const traces = `File: bench
Type: cpu
-----------+-------------------------------------------------------
     1.50s   github.com/gopeft/gopeft/internal/simd.multiplyAVX512
             github.com/gopeft/gopeft/internal/simd.(*Matrix).Multiply
             github.com/gopeft/gopeft/internal/kernel.(*linear).backward
             github.com/gopeft/gopeft/internal/kernel.function.Backward
-----------+-------------------------------------------------------
     500ms   runtime.memmove
             github.com/gopeft/gopeft/internal/simd.(*Matrix).Pack
             github.com/gopeft/gopeft/internal/kernel.(*attention).forward
-----------+-------------------------------------------------------
     250ms   github.com/gopeft/gopeft/internal/simd.interleave
             github.com/gopeft/gopeft/internal/kernel.packTransposed
             github.com/gopeft/gopeft/internal/kernel.(*linear).forward
-----------+-------------------------------------------------------
     750ms   runtime.gcBgMarkWorker
-----------+-------------------------------------------------------
      1.0s   github.com/gopeft/gopeft/internal/kernel.(*novel).forward
`

func TestShares(t *testing.T) {
	got, err := shares([]byte(traces))
	if err != nil {
		t.Fatal(err)
	}
	want := []operatorTime{
		{"linear backward", 1.5 / 4}, {"novel forward", 1.0 / 4}, {rest, 0.75 / 4}, {"copies (memmove)", 0.5 / 4}, {"packing", 0.25 / 4},
	}
	if !slices.Equal(got, want) {
		t.Errorf("shares() = %v, want %v", got, want)
	}
	for _, wrong := range []string{"", "-----------+---\n  what  is this\n"} {
		if _, err := shares([]byte(wrong)); err == nil {
			t.Errorf("shares(%q) has no error", wrong)
		}
	}
}
