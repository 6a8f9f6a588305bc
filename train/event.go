package train

import "time"

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	StepEvent       EventKind = "step"
	EvalEvent       EventKind = "eval"
	CheckpointEvent EventKind = "checkpoint"
	DoneEvent       EventKind = "done"
)

// Event is something that a run tells. Step, Steps and Epoch are set in all of them.
type Event struct {
	Kind  EventKind `json:"event"`
	Step  int       `json:"step"`  // optimiser steps done
	Steps int       `json:"steps"` // of the whole run
	Epoch float64   `json:"epoch"` // passes over the data done, with the part of the current one

	Loss float64 `json:"loss,omitempty"` // step: of its examples; eval: of the dev set; done: mean over the steps

	// Of a step.
	LearningRate    float64       `json:"learning_rate,omitempty"`
	GradNorm        float64       `json:"grad_norm,omitempty"` // before clipping
	Tokens          int           `json:"tokens,omitempty"`    // read since the run began, interruptions included, virtual ones not
	TokensPerSecond float64       `json:"tokens_per_second,omitempty"`
	Remaining       time.Duration `json:"remaining_ns,omitempty"` // estimated from the steps so far

	// Of an eval.
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Metric  string             `json:"metric,omitempty"` // the one that decides
	Best    bool               `json:"best,omitempty"`   // better than all before

	// Of a checkpoint.
	Dir string `json:"dir,omitempty"`
}

// Summary is how a run ended.
type Summary struct {
	Steps      int     `json:"steps"` // done
	Epochs     float64 `json:"epochs"`
	Loss       float64 `json:"loss"` // mean over the steps
	Tokens     int     `json:"tokens"`
	Stopped    bool    `json:"stopped_early"`
	Metric     string  `json:"metric,omitempty"`
	Best       float64 `json:"best"`      // of the metric; of no meaning without a dev set
	BestStep   int     `json:"best_step"` // 0: nothing was evaluated
	Parameters int     `json:"parameters"`
	// Evaluations are all of them, in order, those before an interruption included.
	Evaluations []EvalPoint   `json:"evaluations,omitempty"`
	Elapsed     time.Duration `json:"elapsed_ns"` // of this call
}

// EvalPoint is one evaluation on the dev set.
type EvalPoint struct {
	Step    int                `json:"step"`
	Loss    float64            `json:"loss"`
	Metrics map[string]float64 `json:"metrics"`
}
