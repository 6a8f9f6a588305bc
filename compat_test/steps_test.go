package compat_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/train"
)

// roundingOnly tells whether a parameter has a true gradient of zero: the bias of an answer's scores
// shifts all start (or end) scores alike, as does that of the rows which they are made of, and one of
// keys all scores of a query. AdamW makes whole steps
// of its rounding errors, in which no two implementations agree.
func roundingOnly(m *adapters.PeftModel, name string) bool {
	if keys, isBias := strings.CutSuffix(name, ".bias"); isBias {
		for _, part := range []string{".base_layer", ".lora_B"} {
			keys = strings.TrimSuffix(keys, part)
		}
		if slices.Contains([]string{"key", "k_lin", "k_proj", "key_proj", "pos_key_proj"}, keys[strings.LastIndex(keys, ".")+1:]) {
			return true
		}
	}
	name = strings.Replace(name, ".modules_to_save.", ".", 1)
	shifts := []string{".qa_outputs.bias", ".classifier.bias", fmt.Sprintf(".encoder.layer.%d.output.LayerNorm.bias", m.Base.Backbone.Shape().Layers-1)}
	return m.Config.TaskType == hfio.QuestionAns && slices.ContainsFunc(shifts, func(end string) bool { return strings.HasSuffix(name, end) })
}

// plan is how steps are taken. The betas and epsilon are torch's defaults.
type plan struct {
	learningRate, weightDecay float64
	clip                      float64 // greatest norm of the gradient; 0: none
	warmup                    int
	schedule                  train.Schedule
}

// batchLine is a line of the data of the oracle's command steps.
type batchLine struct {
	Batch []example `json:"batch"`
}

// steps is what a run leaves behind beside the changed parameters.
type steps struct {
	losses, norms []float64
	first         map[string][]float32 // gradients of the first step before clipping, by state name
}

// stateName is a parameter's name in the oracle's state files, which hold the
// prompt encoder's parameters under PEFT's names without a prefix.
func stateName(p models.NamedParam) string { return strings.TrimPrefix(p.Name, "prompt_encoder.") }

// setParameters gives a model the parameters of a state file, which must hold
// exactly what the model trains.
func setParameters(t testing.TB, m *adapters.PeftModel, state *hfio.SafeTensors) {
	t.Helper()
	var names, stored []string
	for _, p := range m.Trained() {
		names = append(names, stateName(p))
	}
	for _, tensor := range state.Tensors {
		stored = append(stored, tensor.Name)
	}
	slices.Sort(names)
	slices.Sort(stored)
	if !slices.Equal(names, stored) {
		t.Fatalf("gopeft trains %v, PEFT %v", names, stored)
	}
	for _, p := range m.Trained() {
		values := floats(t, state, stateName(p))
		if n := copy(kernel.Data(p.Param), values); n != len(values) || n != p.Param.Value().Size() {
			t.Fatalf("%s has %d values, want PEFT's %d", p.Name, p.Param.Value().Size(), len(values))
		}
	}
}

// state returns the parameters as a state file holds them.
func state(m *adapters.PeftModel) []hfio.Tensor {
	var tensors []hfio.Tensor
	for _, p := range m.Trained() {
		shape := p.Param.Shape()
		if strings.Contains(p.Name, "bias") || strings.Contains(p.Name, "magnitude") { // a vector in torch, a matrix of one row here
			shape = shape[1:]
		}
		if strings.Contains(p.Name, "prefix_task") { // a matrix for each task, one under the other here
			tasks := m.Config.NumTasks
			shape = []int{tasks, shape[0] / tasks, shape[1]}
		}
		tensors = append(tensors, hfio.NewFloat32(stateName(p), shape, kernel.Data(p.Param)))
	}
	return tensors
}

// takeSteps trains the model with the optimiser of package train, a step a line.
func takeSteps(t *testing.T, m *adapters.PeftModel, ask tuned, lines []batchLine, plan plan) steps {
	t.Helper()
	run := steps{first: map[string][]float32{}}
	params := m.Trained()
	optimiser := train.NewAdamW(params)
	optimiser.WeightDecay = plan.weightDecay
	ask = ask.of(m.Adapter)
	for number, line := range lines {
		project(m)
		run.losses = append(run.losses, gradients(t, ask, line.Batch))
		if number == 0 {
			for _, p := range params {
				run.first[stateName(p)] = slices.Clone(gradient(p))
			}
		}
		run.norms = append(run.norms, train.ClipGradNorm(params, plan.clip))
		optimiser.Step(plan.learningRate * plan.schedule.Factor(number, plan.warmup, len(lines)))
		optimiser.ZeroGrad()
	}
	return run
}

// project draws parameters back into their bounds, which PEFT does when it reads them.
func project(m *adapters.PeftModel) {
	if p, ok := m.Adapter.(adapters.Projected); ok {
		p.Project()
	}
}

func gradient(p models.NamedParam) []float32 {
	if !p.Param.HasGrad() {
		return make([]float32, p.Param.Value().Size())
	}
	return kernel.Data(p.Param.Grad())
}

// gradients computes the loss of a batch and its gradients.
func gradients(t *testing.T, ask tuned, batch []example) float64 {
	t.Helper()
	logits, out, err := ask.forward(models.Batch{Sequences: ask.sequences(batch...)})
	if err != nil {
		t.Fatal(err)
	}
	if ask.task == models.FeatureExtraction {
		return featureGradients(t, out, batch)
	}
	wanted := labels(t, ask, batch...)
	if ask.task == models.CausalLM {
		wanted = ask.next(out, wanted)
	} else {
		wanted.Tokens = withVirtual(out, wanted.Tokens) // as the oracle does
	}
	loss, err := models.Loss(ask.task, ask.problemType, logits, out, wanted)
	if err != nil {
		t.Fatal(err)
	}
	backward(t, loss)
	return float64(models.Values(loss)[0])
}

// featureGradients is the loss that the oracle gives features, since transformers
// has none: the mean square between the labels [d] and the mean of a sequence's rows.
func featureGradients(t *testing.T, out models.Output, batch []example) float64 {
	t.Helper()
	d := kernel.Cols(out.Hidden)
	grad := make([]float32, kernel.Rows(out.Hidden)*d)
	loss, count := 0.0, float64(len(batch)*d)
	for i, span := range out.Spans {
		target := decode[[]float64](t, batch[i].Labels)
		values, n := rows(out.Hidden, span.Start, span.End), span.End-span.Start
		for column := range d {
			mean := 0.0
			for row := range n {
				mean += values[row*d+column] / float64(n)
			}
			difference := mean - target[column]
			loss += difference * difference / count
			for row := range n {
				grad[(span.Start+row)*d+column] = float32(2 * difference / count / float64(n))
			}
		}
	}
	out.Hidden.AccGrad(kernel.New(kernel.Rows(out.Hidden), d, grad))
	backward(t, out.Hidden)
	return loss
}

func backward(t *testing.T, from mat.Tensor) {
	t.Helper()
	if err := ag.Backward(from); err != nil {
		t.Fatal(err)
	}
}

// compareSteps wants the losses, the norms, the first gradients, the parameters at
// the end and the saved tensors of the oracle's command steps.
func compareSteps(t *testing.T, m *adapters.PeftModel, run steps, want *hfio.SafeTensors) {
	t.Helper()
	closeTo(t, "the losses", run.losses, floats(t, want, "loss"), 0, 1e-4)
	closeTo(t, "the gradients' norms", run.norms, floats(t, want, "grad_norm"), 1e-4, 1e-4)
	gradients, moved := 0.0, 0.0
	last := stepName(len(run.losses))
	for _, p := range m.Trained() {
		name := stateName(p)
		gradients = max(gradients, closeTo(t, "the gradient of "+name, run.first[name], floats(t, want, "grad.1."+name), gradientRTol, gradientATol))
		if !roundingOnly(m, name) {
			moved = max(moved, closeTo(t, name+" after the last step", kernel.Data(p.Param), floats(t, want, last+name), stepRTol, stepATol))
		}
	}
	moved = max(moved, compareSaved(t, m, want))
	t.Logf("greatest difference of the first gradients %.2g, after the last step %.2g", gradients, moved)
}

// compareSaved compares what is written of the model with what PEFT would write.
func compareSaved(t *testing.T, m *adapters.PeftModel, want *hfio.SafeTensors) float64 {
	t.Helper()
	file, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	saved := 0
	for _, tensor := range want.Tensors {
		if strings.HasPrefix(tensor.Name, "adapter.") {
			saved++
		}
	}
	if saved != len(file.Tensors) {
		t.Errorf("gopeft saves %d tensors, PEFT %d", len(file.Tensors), saved)
	}
	worst := 0.0
	for _, tensor := range file.Tensors {
		values, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if !roundingOnly(m, tensor.Name) {
			worst = max(worst, closeTo(t, "saved "+tensor.Name, values, floats(t, want, "adapter."+tensor.Name), stepRTol, stepATol))
		}
	}
	return worst
}

func stepName(number int) string { return "step." + strconv.Itoa(number) + "." }
