package auto

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
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
	read, err := b.tensorsOf(m)
	if err != nil {
		return hfio.ModelConfig{}, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		if slices.ContainsFunc(head, func(t hfio.Tensor) bool { return t.Name == name }) {
			continue
		}
		t := read[name]
		if delta, ok := deltas[strings.TrimSuffix(name, ".weight")]; ok {
			if t, err = merged(t, delta); err != nil {
				return hfio.ModelConfig{}, nil, err
			}
		}
		t.Name = m.Prefix + name
		tensors = append(tensors, t)
	}
	config, err := b.configOf(m)
	return config, tensors, err
}

// tensorsOf returns what the model reads of the checkpoint, by the names of today below
// the backbone.
func (b *Base) tensorsOf(m *models.Model) (map[string]hfio.Tensor, error) {
	weights := b.weights()
	backbone, err := b.architecture.New(b.checkpoint.Config, weights)
	if err == nil && m.Head != nil {
		_, _, err = backbone.NewHead(weights, models.HeadSpec{Task: m.Task, Labels: m.Labels, ProblemType: m.ProblemType, Rand: rand.New(rand.NewPCG(0, 0))})
	}
	if err != nil {
		return nil, err
	}
	return weights.Read(), weights.Err()
}

// merged adds a delta to a weight.
func merged(t hfio.Tensor, d layer.Delta) (hfio.Tensor, error) {
	dtype := t.DType
	values, err := t.Float32s()
	if err != nil {
		return t, err
	}
	values = slices.Clone(values)
	out, in, rank := t.Shape[0], t.Shape[1], kernel.Rows(d.A)
	a, b := kernel.Data(d.A), kernel.Data(d.B)
	for o := range out {
		row := make([]float64, in)
		for r := range rank {
			f := float64(b[o*rank+r])
			for i, v := range a[r*in:][:in] {
				row[i] += f * float64(v)
			}
		}
		for i, v := range row {
			values[o*in+i] += float32(float64(d.Scale) * v)
		}
	}
	return hfio.NewFloat32(t.Name, t.Shape, values).Convert(dtype)
}

// configOf is config.json for the model's task and labels.
func (b *Base) configOf(m *models.Model) (hfio.ModelConfig, error) {
	values := map[string]any{}
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
