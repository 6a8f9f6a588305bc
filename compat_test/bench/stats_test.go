package main

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, 0},
		{"one", []float64{3}, 3},
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 3, 2}, 2.5},
		{"an outlier", []float64{1, 1, 1, 1, 100}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := median(c.values); got != c.want {
				t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
			}
		})
	}
}

// Half of the values are on either side of a median.
func TestMedianHalves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 20).Draw(t, "values")
		m, below, above := median(values), 0, 0
		for _, v := range values {
			if v < m {
				below++
			}
			if v > m {
				above++
			}
		}
		if 2*below > len(values) || 2*above > len(values) {
			t.Fatalf("median(%v) = %v", values, m)
		}
	})
}

func TestRatio(t *testing.T) {
	twice, once := &side{figures: []float64{20, 20}}, &side{figures: []float64{10, 9, 11}}
	if got := (row{data: full}).ratio(twice, once); got != 2 {
		t.Errorf("twice the tokens a second are a ratio of %v, want 2", got)
	}
	if got := (row{data: request}).ratio(twice, once); got != 0.5 {
		t.Errorf("twice the seconds are a ratio of %v, want 0.5", got)
	}
	p := &prepared{row: row{data: full}, theirs: []*side{once, twice}}
	if p.python() != twice {
		t.Error("the fastest Python is not the one with most tokens a second")
	}
	p.data = request
	if p.python() != once {
		t.Error("the fastest Python is not the one with the least seconds")
	}
}

func TestFigure(t *testing.T) {
	found := result{Tokens: []int{100, 300}, Seconds: []float64{1, 3}}
	if got := (row{data: natural}).figure(found); got != 100 {
		t.Errorf("400 tokens in 4 s are %v tok/s, want 100", got)
	}
	if got := (row{kind: starting}).figure(found); got != 2 {
		t.Errorf("1 s and 3 s are %v s a call, want 2", got)
	}
}

func TestCompare(t *testing.T) {
	s := sizes{Layers: 6, Hidden: 384, Keys: 384, Intermediate: 1536}
	losses := row{name: "r", kind: training, data: full}
	scores := row{name: "r", kind: forward, data: answers}
	half := row{name: "r", kind: forward, data: answers, bf16: true}
	for _, c := range []struct {
		name      string
		row       row
		got, want []float64
		ok        bool
	}{
		{"equal", losses, []float64{0.7, 0.6}, []float64{0.7, 0.6}, true},
		{"another first loss", losses, []float64{0.7001, 0.6}, []float64{0.7, 0.6}, false},
		{"another last loss", losses, []float64{0.7, 0.6}, []float64{0.7, 0.601}, false},
		{"between first and last", losses, []float64{0.7, 0.5, 0.6}, []float64{0.7, 0.5001, 0.6}, true},
		{"one score", scores, []float64{1, 2, 3}, []float64{1, 2.001, 3}, false},
		{"rounding of float32", scores, []float64{1, 2.00001, 3}, []float64{1, 2, 3}, true},
		{"rounding of bfloat16", half, []float64{2.01}, []float64{2}, true},
		{"more than that", half, []float64{2.05}, []float64{2}, false},
		{"not a number", scores, []float64{math.NaN()}, []float64{1}, false},
		{"nor Python's", scores, []float64{1}, []float64{math.NaN()}, false},
		{"fewer", scores, []float64{1}, []float64{1, 2}, false},
		{"none", scores, nil, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.row.compare(result{Check: c.got}, result{Check: c.want}, s); (err == nil) != c.ok {
				t.Errorf("compare() = %v", err)
			}
		})
	}
}

// In bfloat16 answers may part where two tokens have almost equal scores, and only there.
func TestCompareAnswers(t *testing.T) {
	s := sizes{Layers: 6, Intermediate: 1536}
	written := func(check []float64, ids ...int) result {
		return result{Check: check, Written: [][]int{ids[:3], ids[3:]}}
	}
	python := written([]float64{9, 8, 7, 6, 5, 4}, 1, 2, 3, 4, 5, 6)
	python.Scales = []float64{9, 8, 7, 6, 50, 4}
	for _, c := range []struct {
		name   string
		gopeft result
		exact  bool // enough in float32
		near   bool // enough in bfloat16
	}{
		{"equal", python, true, true},
		{"another score", written([]float64{9, 8, 7, 6, 9, 4}, 1, 2, 3, 4, 5, 6), false, false},
		{"parted at equal scores", written([]float64{9, 8, 2, 6, 5, 4}, 1, 7, 8, 4, 5, 6), false, true},
		{"parted at other scores", written([]float64{9, 9, 7, 6, 5, 4}, 1, 7, 8, 4, 5, 6), false, false},
		{"the next answer is compared", written([]float64{9, 8, 7, 7, 5, 4}, 7, 8, 9, 4, 5, 6), false, false},
		{"a shorter answer", written([]float64{9, 8, 7, 6, 5}, 1, 2, 3, 4, 5), false, false},
		{"a rounding error", written([]float64{9, 8, 7, 6, 5.0003, 4}, 1, 2, 3, 4, 5, 6), true, true},
		{"an error that only the greatest score allows", written([]float64{9, 8, 7, 6, 5, 4.0003}, 1, 2, 3, 4, 5, 6), false, true},
		{"no answers", result{Check: python.Check}, false, false},
		{"fewer tokens than scores", result{Check: python.Check, Written: [][]int{{1, 2}, {4}}}, false, false},
	} {
		for bf16, want := range map[bool]bool{false: c.exact, true: c.near} {
			r := row{name: "r", kind: generating, bf16: bf16, data: decoding16}
			if _, err := r.compare(c.gopeft, python, s); (err == nil) != want {
				t.Errorf("%s, bf16 %t: compare() = %v", c.name, bf16, err)
			}
		}
	}
}
