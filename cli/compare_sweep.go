package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/train"
)

// swept are the settings that a sweep tries, in this order. The methods that have no
// such option are left out.
var swept = []struct {
	option string
	values []string
}{
	{"learning-rate", []string{"0.001", "0.003", "0.01", "0.03"}},
	{"num-virtual-tokens", []string{"5", "20", "50"}},
	{"prompt-tuning-init", []string{"RANDOM", "SAMPLE_VOCAB"}},
	{"encoder-reparameterization-type", []string{"MLP", "LSTM"}},
	{"prefix-projection", []string{"false", "true"}},
	{"r", []string{"4", "8", "16"}},
}

// fullRates are the learning rates that a sweep tries where all weights are trained, which want
// smaller ones: see docs/defaults.md.
var fullRates = []string{"0.00003", "0.0001", "0.0003"}

// sweepText says what a sweep tries.
func sweepText() string {
	text := ""
	for _, s := range swept {
		text += fmt.Sprintf("   --%-32s %s\n", s.option, strings.Join(s.values, ", "))
	}
	return text + fmt.Sprintf("   --%-32s %s\n", "learning-rate of "+fullFlag, strings.Join(fullRates, ", "))
}

// enough is how many other runs the median rule needs.
const enough = 3

// sweep tries the settings of a method, one after the other, and returns the best.
func (x *comparison) sweep(method string) ([]string, error) {
	var best []string
	for _, s := range swept {
		if isSettled(x.c, s.option) || !takes(s.option, peftTypeOf(method)) {
			continue
		}
		var winner *compareRun
		values := s.values
		if method == fullFlag && s.option == "learning-rate" {
			values = fullRates
		}
		for _, value := range values {
			settings := append(slices.Clone(best), "--"+s.option+"="+value)
			r, err := x.run(method, 1, settings, true)
			if err != nil {
				return nil, err
			}
			if r.Ended == "done" && (winner == nil || train.Better(r.Summary.Metric, r.Summary.Best, winner.Summary.Best)) {
				winner = r
			}
		}
		if winner != nil { // else the best so far stays
			best = winner.Settings
		}
	}
	return best, nil
}

// isSettled tells whether the command line leaves nothing of a setting to be tried.
func isSettled(c *cli.Context, option string) bool {
	return c.IsSet(option) || option == "num-virtual-tokens" && c.IsSet("template")
}

// tries tells whether a sweep chooses a setting, with one of the values among those that it tries.
func (x *comparison) tries(option string, values []string) bool {
	if !x.c.Bool("sweep") || isSettled(x.c, option) {
		return false
	}
	for _, s := range swept {
		if s.option == option {
			return slices.ContainsFunc(values, func(value string) bool { return slices.Contains(s.values, value) })
		}
	}
	return false
}

// hopeless is the median rule: the best metric of a run is worse than the median, over
// the sweep's other runs of the method that came so far, of their mean until then.
func (x *comparison) hopeless(run *compareRun, step int) bool {
	var means []float64
	for _, r := range x.state.Runs {
		if mean, reached := meanUntil(r.Summary, step); reached && r.Method == run.Method && r.Sweep && r != run {
			means = append(means, mean)
		}
	}
	if len(means) < enough {
		return false
	}
	slices.Sort(means)
	median := (means[(len(means)-1)/2] + means[len(means)/2]) / 2
	return train.Better(run.Summary.Metric, median, run.Summary.Best)
}

// meanUntil is the mean of a run's metric until a step, which must be one where it was measured.
func meanUntil(s train.Summary, step int) (mean float64, reached bool) {
	n := 0.0
	for _, e := range s.Evaluations {
		if e.Step <= step {
			mean += valueOf(e, s.Metric)
			n++
			reached = e.Step == step
		}
	}
	return mean / max(1, n), reached
}
