package cli

import (
	"math"
	"testing"

	"github.com/gopeft/gopeft/train"
)

func TestMeanAndDeviation(t *testing.T) {
	// By hand: mean 5, squares 9+1+1+1+0+0+4+16 = 32, over 7.
	mean, sd := meanAndDeviation([]float64{2, 4, 4, 4, 5, 5, 7, 9})
	if math.Abs(mean-5) > 1e-12 || math.Abs(sd-math.Sqrt(32.0/7)) > 1e-12 {
		t.Errorf("found %v ± %v", mean, sd)
	}
	if mean, sd := meanAndDeviation([]float64{3}); mean != 3 || sd != 0 {
		t.Errorf("of one value: found %v ± %v", mean, sd)
	}
}

// TestMedianRule: after step 20 the others had 0.5, 0.6 and 0.7 on average, so that a
// best of less than 0.6 is hopeless; a loss goes the other way.
func TestMedianRule(t *testing.T) {
	run := func(metric string, values ...float64) *compareRun {
		r := &compareRun{Method: "P_TUNING", Sweep: true}
		for i, v := range values {
			e := train.Event{Kind: train.EvalEvent, Step: 10 * (i + 1), Metric: metric, Loss: v, Metrics: map[string]float64{metric: v}}
			e.Best = i == 0 || train.Better(metric, v, r.Summary.Best)
			seen(&r.Summary, e)
		}
		return r
	}
	for _, test := range []struct {
		name   string
		metric string
		values []float64
		others int
		want   bool
	}{
		{"below the median", "accuracy", []float64{0.55, 0.3}, 3, true},
		{"the best counts, not the last", "accuracy", []float64{0.65, 0.3}, 3, false},
		{"as good as the median", "accuracy", []float64{0.6, 0.6}, 3, false},
		{"too few others", "accuracy", []float64{0.1, 0.1}, 2, false},
		{"a low loss is good", "loss", []float64{0.55, 0.3}, 3, false},
		{"a high loss is not", "loss", []float64{0.9, 0.8}, 3, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			others := []*compareRun{run(test.metric, 0.4, 0.6), run(test.metric, 0.5, 0.7, 0.9), run(test.metric, 0.7, 0.7)}[:test.others]
			current := run(test.metric, test.values...)
			x := &comparison{state: compareState{Runs: append(others, current, run(test.metric, 0.9))}} // the last one never came to step 20
			if got := x.hopeless(current, 20); got != test.want {
				t.Errorf("found %v, want %v", got, test.want)
			}
		})
	}
}
