// Package report shows how a training run went: as a picture of its curves, and as a
// file that TensorBoard reads.
//
// Give every event of a run to [History.Add], then draw it with [History.Save]; give
// them to a [TensorBoard] while the run goes on. The package trains nothing and prints
// nothing.
package report

import (
	"maps"
	"slices"

	"github.com/gopeft/gopeft/train"
)

// Point is a value after a step.
type Point struct {
	Step  int
	Value float64
}

// History is what a run's events said.
type History struct {
	Loss    []Point            // of each step
	DevLoss []Point            // of each evaluation
	Metrics map[string][]Point // of each evaluation, by name
}

// Add takes an event. Kinds that hold no values are passed over.
func (h *History) Add(e train.Event) {
	switch e.Kind {
	case train.StepEvent:
		h.Loss = append(h.Loss, Point{e.Step, e.Loss})
	case train.EvalEvent:
		h.DevLoss = append(h.DevLoss, Point{e.Step, e.Loss})
		if h.Metrics == nil {
			h.Metrics = map[string][]Point{}
		}
		for name, value := range e.Metrics {
			h.Metrics[name] = append(h.Metrics[name], Point{e.Step, value})
		}
	}
}

// names returns the metrics' names, sorted.
func (h *History) names() []string { return slices.Sorted(maps.Keys(h.Metrics)) }
