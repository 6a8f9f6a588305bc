package main

import (
	"encoding/json"
	"os"

	"github.com/gopeft/gopeft/internal/simd/peak"
	"github.com/gopeft/gopeft/models"
)

// workCommand is the argument that makes this program a worker.
const workCommand = "work"

// job is what a worker is told, in a JSON file; both sides read the same.
type job struct {
	Kind         kind        `json:"kind"`
	Base         string      `json:"base"`
	Task         models.Task `json:"task"`
	Adapters     []string    `json:"adapters"` // their directories; all but generating have one
	Start        string      `json:"start"`    // every trained parameter (safetensors)
	Data         string      `json:"data"`     // a batch a line
	Warm         int         `json:"warm"`     // batches before those that are timed
	BF16         bool        `json:"bf16"`
	Dropout      bool        `json:"dropout"`
	LearningRate float64     `json:"learning_rate"`
	Threads      int         `json:"threads"`           // of torch; Go takes them all
	Command      []string    `json:"command,omitempty"` // of starting
	Input        string      `json:"input,omitempty"`   // what it reads
	Profile      string      `json:"profile,omitempty"` // a file for the CPU profile of the timed calls
}

// result is what a worker prints, as a line of JSON.
type result struct {
	// Check is what both sides must agree on: the loss of every step, or the scores; of
	// generating, those of the tokens in Written.
	Check   []float64 `json:"check"`
	Written [][]int   `json:"written"` // answers of generating
	// Scales are Python's alone, of generating: the greatest magnitude of all scores that each
	// token was taken from. Rounding errors are relative to it: a score is a sum, and may be
	// much less than its terms.
	Scales   []float64         `json:"scales"`
	Tokens   []int             `json:"tokens"`  // of every timed call, without pads and virtual ones
	Seconds  []float64         `json:"seconds"` // of every timed call
	PeakRSS  int64             `json:"peak_rss"`
	Versions map[string]string `json:"versions"`
	Peak     peak.Rate         `json:"peak"` // of peaking
}

// dataLine is a line of the file of batches.
type dataLine struct {
	Batch   []example `json:"batch"`
	Written int       `json:"written"` // how many tokens generating writes behind each
}

// example is a sequence with its class.
type example struct {
	IDs     []int  `json:"input_ids"`
	Class   int    `json:"labels"`
	Text    string `json:"text,omitempty"`   // that the ids are of
	Target  []int  `json:"target,omitempty"` // what an encoder-decoder learns to write
	Adapter int    `json:"adapter"`          // which of the job's answers it
}

func writeJSON(path string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, encoded, 0o644)
}

func readJob(path string) (job, error) {
	var j job
	encoded, err := os.ReadFile(path)
	if err != nil {
		return j, err
	}
	return j, json.Unmarshal(encoded, &j)
}
