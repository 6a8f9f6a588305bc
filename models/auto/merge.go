package auto

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Merge returns the tensors and the config of a model of its own: the base with the
// deltas of a prompt in its weights, which keep their dtype, and with a head's tensors. Its
// answers are those of the base with the prompt, but for rounding.
// Source: peft 0.21.2, tuners/lora/layer.py, merge; names as transformers saves them.
func (b *Base) Merge(m *models.Model, head []hfio.Tensor, deltas map[string]layer.Delta) (hfio.ModelConfig, []hfio.Tensor, error) {
	tensors := slices.Clone(head)
	shifted := map[string]bool{}
	for _, t := range m.Tensors {
		name := strings.TrimPrefix(t.Name, m.Prefix)
		weight, _ := strings.CutSuffix(name, ".weight")
		bias, isBias := strings.CutSuffix(name, ".bias")
		var err error
		switch {
		case isBias:
			shifted[bias] = true
			t, err = mergedBias(t, deltas[bias])
		case deltas[weight].A != nil:
			t, err = merged(t, deltas[weight], transposed(m, weight))
		}
		if err != nil {
			return hfio.ModelConfig{}, nil, err
		}
		tensors = append(tensors, t)
	}
	for _, name := range slices.Sorted(maps.Keys(deltas)) {
		if deltas[name].Shift != nil && !shifted[name] {
			return hfio.ModelConfig{}, nil, fmt.Errorf("%w: %s has no bias, to which the adapter's lora_bias could be added", hfio.ErrUnsupported, name)
		}
	}
	config, err := b.configOf(m, nil)
	return config, tensors, err
}

// transposed tells whether the checkpoint holds the weight of a module as [in, out].
func transposed(m *models.Model, module string) bool {
	return slices.ContainsFunc(m.Linears, func(l layer.LinearModule) bool { return l.Name == module && l.Transposed })
}

// mergedBias is the bias of a layer with a delta.
func mergedBias(t hfio.Tensor, d layer.Delta) (hfio.Tensor, error) {
	if d.Bias == nil && d.Shift == nil {
		return t, nil
	}
	values, err := t.Float32s()
	if err != nil {
		return t, err
	}
	values = slices.Clone(values)
	if d.Bias != nil {
		copy(values, kernel.Data(d.Bias))
	}
	if d.Shift != nil {
		for i, v := range kernel.Data(d.Shift) {
			values[i] += d.Scale * v
		}
	}
	return hfio.NewFloat32(t.Name, t.Shape, values).Convert(t.DType)
}

// merged adds a delta to a weight, and sets how long its rows are where the delta says so.
func merged(t hfio.Tensor, d layer.Delta, transposed bool) (hfio.Tensor, error) {
	dtype := t.DType
	values, err := t.Float32s()
	if err != nil {
		return t, err
	}
	values = slices.Clone(values)
	out, in, rank := kernel.Rows(d.B), kernel.Cols(d.A), kernel.Rows(d.A)
	down, across := in, 1 // from an output and from an input to the next
	if transposed {
		down, across = 1, out
	}
	a, b := kernel.Data(d.A), kernel.Data(d.B)
	for o := range out {
		row := make([]float64, in)
		for r := range rank {
			f := float64(b[o*rank+r])
			for i, v := range a[r*in:][:in] {
				row[i] += f * float64(v)
			}
		}
		sum := 0.0
		for i, v := range row {
			row[i] = float64(values[o*down+i*across]) + float64(d.Scale)*v
			sum += row[i] * row[i]
		}
		factor := 1.0
		if d.Magnitude != nil {
			factor = float64(kernel.Data(d.Magnitude.Values)[o]) / math.Sqrt(sum)
		}
		for i, v := range row {
			values[o*down+i*across] = float32(factor * v)
		}
	}
	return hfio.NewFloat32(t.Name, t.Shape, values).Convert(dtype)
}

// TrainedConfig returns config.json for what a model becomes whose weights are trained, in
// float32, with its task and labels.
func (b *Base) TrainedConfig(m *models.Model) (hfio.ModelConfig, error) {
	const float32Name = "float32" // torch's
	values := map[string]any{"dtype": float32Name}
	if older := "torch_dtype"; b.checkpoint.Config.Reader().StringOr(older, "") != "" {
		values[older] = float32Name
	}
	return b.configOf(m, values)
}

// configOf is config.json with the model's task and labels, and with other values.
func (b *Base) configOf(m *models.Model, more map[string]any) (hfio.ModelConfig, error) {
	values := map[string]any{}
	maps.Copy(values, more)
	for _, class := range slices.Sorted(maps.Keys(b.architecture.Tasks)) {
		if b.architecture.Tasks[class] == m.Task {
			values["architectures"] = []string{class}
			break
		}
	}
	if m.ProblemType != "" {
		values["problem_type"] = m.ProblemType
	}
	if m.Labels != nil && m.Task != models.QuestionAns {
		names, numbers := map[string]string{}, map[string]int{}
		for i, label := range m.Labels {
			names[strconv.Itoa(i)], numbers[label] = label, i
		}
		values["id2label"], values["label2id"] = names, numbers
	}
	raw := map[string]json.RawMessage{}
	for key, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			return hfio.ModelConfig{}, fmt.Errorf("field %q: %w", key, err)
		}
		raw[key] = text
	}
	return b.checkpoint.Config.With(raw)
}
