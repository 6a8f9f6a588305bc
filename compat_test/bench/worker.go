package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/simd/peak"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/train"
)

// work does one job and prints its result.
func work(ctx context.Context, path string) error {
	j, err := readJob(path)
	if err != nil {
		return err
	}
	does := map[kind]func(context.Context, job) (result, error){
		training: trainSteps, forward: answerBatches, starting: startProcess, peaking: measurePeak, tokenizing: encodeTexts,
		generating: writeTexts,
	}[j.Kind]
	if does == nil {
		return fmt.Errorf("%s: no worker does %q", path, j.Kind)
	}
	r, err := does(ctx, j)
	if err != nil {
		return err
	}
	r.PeakRSS = peakRSS()
	r.Versions = map[string]string{"go": runtime.Version()}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func measurePeak(context.Context, job) (result, error) { return result{Peak: peak.Measure()}, nil }

// openJob reads the data and loads the base.
func openJob(j job) ([]dataLine, *models.Model, *auto.Base, error) {
	lines, err := readBatches(j.Data)
	if err != nil {
		return nil, nil, nil, err
	}
	base, files, err := openModel(j)
	return lines, base, files, err
}

// openModel loads the base, a classifier with a head of two labels, which the adapter replaces.
func openModel(j job) (*models.Model, *auto.Base, error) {
	options := &auto.Options{Task: j.Task}
	if j.Task == models.SeqCls {
		options.ProblemType, options.Labels, options.Rand = models.SingleLabel, []string{"0", "1"}, rand.New(rand.NewPCG(1, 1))
	}
	if j.BF16 {
		options.DType = hfio.BF16
	}
	return auto.Load(hfio.Dir(j.Base), options)
}

// trainSteps takes a step of train.Run a line of the data.
func trainSteps(ctx context.Context, j job) (result, error) {
	lines, base, files, err := openJob(j)
	if err != nil {
		return result{}, err
	}
	defer files.Close()
	model, err := startingModel(j, base)
	if err != nil {
		return result{}, err
	}
	w := &stepWatch{job: j, lines: lines, last: time.Now()}
	cfg := train.Config{
		Epochs: 1, BatchSize: len(lines[0].Batch), LearningRate: j.LearningRate, Schedule: train.Constant, WarmupRatio: -1,
		WeightDecay: 0.01, ClipNorm: 1, NoDropout: !j.Dropout, Seed: 1, OnEvent: w.event,
	}
	_, err = train.Run(ctx, model, train.Dataset{Train: inOrder(featuresOf(model, lines), cfg.Seed)}, cfg)
	if j.Profile != "" {
		pprof.StopCPUProfile()
	}
	return w.result, errors.Join(err, w.err)
}

// startingModel is the adapter with the parameters that both sides start from.
func startingModel(j job, base *models.Model) (*adapters.PeftModel, error) {
	file, err := hfio.OpenAdapter(hfio.Dir(j.Adapters[0]), nil)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	start, err := hfio.OpenSafeTensors(hfio.Dir(filepath.Dir(j.Start)), filepath.Base(j.Start), &hfio.OpenOptions{NoMap: true})
	if err != nil {
		return nil, err
	}
	for i, t := range start.Tensors {
		if !strings.HasPrefix(t.Name, "base_model.") {
			start.Tensors[i].Name = "prompt_encoder." + t.Name
		}
	}
	return adapters.Resume(file, base, start.Tensors)
}

// featuresOf returns what the model learns of the examples: classes, all tokens of texts
// that can be predicted, or targets.
func featuresOf(model *adapters.PeftModel, lines []dataLine) []train.Feature {
	var list []train.Feature
	for _, line := range lines {
		for _, e := range line.Batch {
			f := train.Feature{IDs: e.IDs, Class: e.Class}
			switch model.Base.Task {
			case models.CausalLM:
				f.Targets = e.IDs
				if model.InputRows() == 0 { // nothing predicts the first
					f.Targets = e.IDs[1:]
				}
				for i := range f.Targets {
					f.Reads = append(f.Reads, i+len(e.IDs)-len(f.Targets)-1)
				}
			case models.Seq2SeqLM:
				f.Targets, f.DecoderIDs = e.Target, model.Base.Backbone.(models.EncoderDecoder).ShiftRight(e.Target)
				for i := range f.Targets {
					f.Reads = append(f.Reads, i)
				}
			}
			list = append(list, f)
		}
	}
	return list
}

// inOrder places the features such that Run's batches are the lines.
func inOrder(list []train.Feature, seed uint64) []train.Feature {
	placed := make([]train.Feature, len(list))
	for i, at := range train.Order(seed, 0, len(list)) {
		placed[at] = list[i]
	}
	return placed
}

// stepWatch takes the times of a run's steps.
type stepWatch struct {
	job    job
	lines  []dataLine
	last   time.Time
	result result
	err    error
}

func (w *stepWatch) event(e train.Event) {
	if e.Kind != train.StepEvent {
		return
	}
	w.result.Check = append(w.result.Check, e.Loss)
	if e.Step > w.job.Warm {
		w.result.Seconds = append(w.result.Seconds, time.Since(w.last).Seconds())
		w.result.Tokens = append(w.result.Tokens, tokensOf(w.lines[e.Step-1].Batch))
	}
	if e.Step == w.job.Warm && w.job.Profile != "" {
		w.err = startProfile(w.job.Profile)
	}
	w.last = time.Now()
}

func startProfile(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(file)
}

// answerBatches runs the frozen adapter on every line of the data.
func answerBatches(_ context.Context, j job) (result, error) {
	lines, base, files, err := openJob(j)
	if err != nil {
		return result{}, err
	}
	defer files.Close()
	tuned, err := adapters.Load(hfio.Dir(j.Adapters[0]), base)
	if err != nil {
		return result{}, err
	}
	frozen, err := tuned.Freeze()
	if err != nil {
		return result{}, err
	}
	var r result
	pool := models.NewPool() // as package predict has one
	for i, line := range lines {
		began := time.Now()
		batch := batchOf(line.Batch)
		batch.Pool = pool
		logits, _, err := frozen.Forward(batch)
		if err != nil {
			return r, err
		}
		if i >= j.Warm {
			r.Seconds = append(r.Seconds, time.Since(began).Seconds())
			r.Tokens = append(r.Tokens, tokensOf(line.Batch))
		}
		for _, score := range models.Values(logits) {
			r.Check = append(r.Check, float64(score))
		}
		pool.Reset()
	}
	return r, nil
}

// encodeTexts makes ids of the texts of every line of the data.
func encodeTexts(_ context.Context, j job) (result, error) {
	runtime.GOMAXPROCS(1)
	var r result
	lines, err := readBatches(j.Data)
	if err != nil {
		return r, err
	}
	tokenizer, err := tokenize.Load(hfio.Dir(j.Base))
	if err != nil {
		return r, err
	}
	for i, line := range lines {
		began := time.Now()
		for _, e := range line.Batch {
			encoding, err := tokenizer.Encode(e.Text, nil)
			if err != nil {
				return r, err
			}
			for _, id := range encoding.IDs {
				r.Check = append(r.Check, float64(id))
			}
		}
		if i >= j.Warm {
			r.Seconds = append(r.Seconds, time.Since(began).Seconds())
			r.Tokens = append(r.Tokens, tokensOf(line.Batch))
		}
	}
	return r, nil
}

func batchOf(examples []example) models.Batch {
	batch := models.Batch{Sequences: make([]models.Sequence, len(examples))}
	for i, e := range examples {
		batch.Sequences[i].IDs = e.IDs
	}
	return batch
}

func tokensOf(examples []example) (n int) {
	for _, e := range examples {
		n += len(e.IDs) + len(e.Target)
	}
	return n
}

func readBatches(path string) ([]dataLine, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines []dataLine
	for decoder := json.NewDecoder(bufio.NewReader(file)); decoder.More(); {
		var line dataLine
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(lines)+1, err)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: no batches", path)
	}
	return lines, nil
}

// peakRSS returns the most memory, in bytes, that this process had in use at once, as
// Linux counts it, mapped weights included; 0 elsewhere.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		var kilobytes int64
		if _, err := fmt.Sscanf(string(line), "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}
