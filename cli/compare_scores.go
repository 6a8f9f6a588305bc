package cli

import (
	"math"
	"slices"

	"github.com/gopeft/gopeft/train"
)

// score is what a method reached, over its seeds.
type score struct {
	method          string
	settings        []string
	parameters      int
	bytes           int64
	seeds           int
	mean, sd        float64 // of the metric; the sample standard deviation
	seconds         float64 // of a run
	tokensPerSecond float64
}

// scored are the finished runs that are compared.
func (s *compareState) scored() []*compareRun {
	return slices.DeleteFunc(slices.Clone(s.Runs), func(r *compareRun) bool { return r.Sweep || r.Ended != "done" })
}

// metric is the one that all runs were measured by.
func (s *compareState) metric() string { return s.scored()[0].Summary.Metric }

// scores returns a row a method, the best first.
func (s *compareState) scores() []score {
	var rows []score
	byMethod := map[string][]*compareRun{}
	for _, r := range s.scored() {
		if len(byMethod[r.Method]) == 0 {
			rows = append(rows, score{method: r.Method, settings: r.Settings, parameters: r.Summary.Parameters, bytes: r.Bytes})
		}
		byMethod[r.Method] = append(byMethod[r.Method], r)
	}
	for i := range rows {
		row, runs := &rows[i], byMethod[rows[i].method]
		row.seeds = len(runs)
		tokens := 0
		var values []float64
		for _, r := range runs {
			values = append(values, r.Summary.Best)
			row.seconds += r.Seconds / float64(row.seeds)
			tokens += r.Summary.Tokens
		}
		row.mean, row.sd = meanAndDeviation(values)
		row.tokensPerSecond = float64(tokens) / (row.seconds * float64(row.seeds))
	}
	metric := s.metric()
	slices.SortStableFunc(rows, func(a, b score) int {
		switch {
		case train.Better(metric, a.mean, b.mean):
			return -1
		case train.Better(metric, b.mean, a.mean):
			return 1
		}
		return 0
	})
	return rows
}

// meanAndDeviation returns the mean and the sample standard deviation, 0 of one value.
func meanAndDeviation(values []float64) (mean, sd float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	if len(values) < 2 {
		return mean, 0
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / float64(len(values)-1))
}
