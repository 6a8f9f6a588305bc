package compat_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/train"
)

// TestLiveFull trains all weights of a tiny model: the first gradients, ten steps with clipping,
// a schedule and the weight decay of transformers' Trainer are torch's, and transformers reads
// what is saved.
func TestLiveFull(t *testing.T) {
	o := needOracle(t)
	for _, c := range cases {
		if !c.steps || c.task == models.FeatureExtraction {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			base := liveBase{dir: t.TempDir(), vocab: 90, hidden: 24}
			more := []string{"--task", string(c.task), "--num-labels", strconv.Itoa(c.labels)}
			if c.kind == models.MultiLabel {
				more = append(more, "--set", `{"problem_type": "multi_label_classification"}`)
			}
			sizes := strings.Fields("--layers 3 --hidden 24 --heads 3 --intermediate 40 --vocab 90 --max-positions 40")
			o.call(t, append(append([]string{"make-base", base.dir}, sizes...), more...)...)
			fullSteps(t, cell{oracle: o, taskCase: c, base: base, folder: t.TempDir()})
		})
	}
}

// fullSteps takes ten steps of four sequences.
func fullSteps(t *testing.T, c cell) {
	const seed, perStep = 5, 4
	lengths := make([]int, 10*perStep)
	for i := range lengths {
		lengths[i] = 2 + i%7
	}
	examples := drawExamples(c.taskCase, c.base, seeded(12), lengths...)
	var batches []batchLine
	for order := range slices.Chunk(train.Order(seed, 0, len(examples)), perStep) {
		var batch batchLine
		for _, i := range order {
			batch.Batch = append(batch.Batch, examples[i])
		}
		batches = append(batches, batch)
	}
	model, opened, err := auto.Load(os.DirFS(c.base.dir), &auto.Options{Task: c.task, ProblemType: c.kind, OpenOptions: auto.OpenOptions{Train: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	data, result := c.path("data.jsonl"), c.path("steps.safetensors")
	writeLines(t, data, batches)
	c.oracle.call(t, append([]string{
		"steps", "--base", c.base.dir, "--task", string(c.task), "--data", data, "--out", result, "--keep", "last",
		"--lr", "0.001", "--weight-decay", "0.1", "--clip", "1", "--schedule", "linear", "--warmup-steps", "2",
	}, c.problem()...)...)
	want := openTensors(t, result)
	compareFirstGradients(t, c.ask(model.Forward), model.Params, batches[0].Batch, want)
	losses := runWhole(t, opened, model, c, train.Config{
		MaxSteps: 10, BatchSize: perStep, LearningRate: 1e-3, WeightDecay: 0.1, ClipNorm: 1, Schedule: train.Linear, WarmupSteps: 2,
		Seed: seed, NoDropout: true, Dir: c.path("trained"),
	}, examples)
	closeTo(t, "the losses", losses, floats(t, want, "loss"), 0, 1e-4)
	worst := 0.0
	for _, p := range model.Params {
		if !roundingOnlyOf(c.taskCase, p.Name) {
			worst = max(worst, closeTo(t, p.Name+" after the last step", kernel.Data(p.Param), floats(t, want, stepName(10)+p.Name), stepRTol, stepATol))
		}
	}
	t.Logf("after the last step: greatest difference %.2g", worst)
	c.base.dir = c.path("trained")
	input, output := c.path("input.jsonl"), c.path("output.jsonl")
	writeLines(t, input, examples[:8])
	c.oracle.call(t, append([]string{"forward", "--base", c.base.dir, "--task", string(c.task), "--input", input, "--output", output}, c.problem()...)...)
	compareForward(t, c.ask(model.Forward), examples[:8], readAnswers(t, output))
}

// roundingOnlyOf tells whether the true gradient of a parameter is zero, as that of roundingOnly
// is: what shifts the scores of attention alike, and what shifts the hidden states of all rows alike
// where the scores of rows compete.
func roundingOnlyOf(c taskCase, name string) bool {
	shifts := []string{".self.key.bias"}
	if c.task == models.QuestionAns {
		shifts = append(shifts, "qa_outputs.bias", "encoder.layer.2.output.LayerNorm.bias")
	}
	return slices.ContainsFunc(shifts, func(end string) bool { return strings.HasSuffix(name, end) })
}

func compareFirstGradients(t *testing.T, ask tuned, params []models.NamedParam, batch []example, want *hfio.SafeTensors) {
	t.Helper()
	gradients(t, ask, batch)
	worst := 0.0
	for _, p := range params {
		worst = max(worst, closeTo(t, "the gradient of "+p.Name, gradient(p), floats(t, want, "grad.1."+p.Name), gradientRTol, gradientATol))
		p.Param.ZeroGrad()
	}
	t.Logf("the first gradients: greatest difference %.2g", worst)
}

// runWhole trains with package train and returns the losses of the steps.
func runWhole(t *testing.T, base *auto.Base, model *models.Model, c cell, config train.Config, examples []example) []float64 {
	t.Helper()
	written, err := base.TrainedConfig(model)
	if err != nil {
		t.Fatal(err)
	}
	var losses []float64
	config.OnEvent = func(e train.Event) {
		if e.Kind == train.StepEvent {
			losses = append(losses, e.Loss)
		}
	}
	features := make([]train.Feature, len(examples))
	for i, e := range examples {
		features[i] = featureOf(t, c.taskCase, e)
	}
	if _, err := train.RunWhole(t.Context(), &train.Whole{Model: model, Config: written}, train.Dataset{Train: features}, config); err != nil {
		t.Fatal(err)
	}
	return losses
}

func featureOf(t *testing.T, c taskCase, e example) train.Feature {
	t.Helper()
	f := train.Feature{IDs: e.IDs, TypeIDs: e.TypeIDs}
	switch {
	case c.task == models.QuestionAns:
		f.Start, f.End = *e.Start, *e.End
	case c.task == models.TokenCls:
		f.Tags = decode[[]int](t, e.Labels)
	case c.kind == models.SingleLabel:
		f.Class = decode[int](t, e.Labels)
	case c.kind == models.Regression:
		f.Values = []float32{decode[float32](t, e.Labels)}
	default:
		f.Values = decode[[]float32](t, e.Labels)
	}
	return f
}
