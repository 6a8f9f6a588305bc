package main

import (
	"cmp"
	"slices"
)

// median returns the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

func last(values []float64) float64 { return values[len(values)-1] }

// best returns the greatest figure, or the least where the row is of times.
func (r row) best(figures []float64) float64 {
	if r.byTime() {
		return slices.Min(figures)
	}
	return slices.Max(figures)
}

// ratio is how many times faster the first is than the second, by their medians.
func (r row) ratio(first, second *side) float64 {
	a, b := median(first.figures), median(second.figures)
	if r.byTime() {
		return b / a
	}
	return a / b
}

// python is Python with the fastest policy.
func (p *prepared) python() *side {
	return slices.MaxFunc(p.theirs, func(a, b *side) int { return cmp.Compare(p.ratio(a, b), 1) })
}
