package adapters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gopeft/gopeft/hfio"
)

// Difference is what two adapters do not have in common.
type Difference struct {
	Config  []FieldDifference  `json:"config"`  // the fields that differ, by name
	Tensors []TensorDifference `json:"tensors"` // every tensor, by name
}

// FieldDifference is a field of adapter_config.json that differs; nil: absent.
type FieldDifference struct {
	Field string          `json:"field"`
	A     json.RawMessage `json:"a"`
	B     json.RawMessage `json:"b"`
}

// TensorDifference compares one tensor of two adapters. MaxAbs and Cosine are
// there where both have it with one shape.
type TensorDifference struct {
	Name   string      `json:"name"`
	A      *TensorKind `json:"a"` // nil: absent
	B      *TensorKind `json:"b"`
	Same   bool        `json:"same"`              // dtype, shape and every bit
	MaxAbs *float64    `json:"max_abs,omitempty"` // the largest |a - b|; the largest float64 where NaN meets a number
	Cosine []float64   `json:"cosine,omitempty"`  // of each row: of prompt_embeddings, of each virtual token
}

// TensorKind is the dtype and the shape of a tensor.
type TensorKind struct {
	DType hfio.DType `json:"dtype"`
	Shape []int      `json:"shape"`
}

// Empty tells whether the two adapters are the same.
func (d *Difference) Empty() bool {
	differs := func(t TensorDifference) bool { return !t.Same }
	return len(d.Config) == 0 && !slices.ContainsFunc(d.Tensors, differs)
}

// Diff compares two adapters: every field of their configs, every tensor.
func Diff(a, b *hfio.Adapter) (*Difference, error) {
	fields, err := diffConfigs(a.Config, b.Config)
	if err != nil {
		return nil, err
	}
	d := &Difference{Config: fields}
	names := map[string]bool{}
	for _, t := range slices.Concat(a.Tensors, b.Tensors) {
		names[t.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t, err := diffTensors(name, a, b)
		if err != nil {
			return nil, err
		}
		d.Tensors = append(d.Tensors, t)
	}
	return d, nil
}

func diffConfigs(a, b hfio.AdapterConfig) ([]FieldDifference, error) {
	first, err := configFields(a)
	if err != nil {
		return nil, err
	}
	second, err := configFields(b)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(first)
	maps.Copy(all, second)
	var found []FieldDifference
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !bytes.Equal(first[key], second[key]) {
			found = append(found, FieldDifference{key, first[key], second[key]})
		}
	}
	return found, nil
}

// configFields returns the fields of a config as compact JSON.
func configFields(c hfio.AdapterConfig) (map[string]json.RawMessage, error) {
	data, err := c.Encode()
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	for key, value := range fields {
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return nil, fmt.Errorf("field %q: %w", key, err)
		}
		fields[key] = compact.Bytes()
	}
	return fields, nil
}

func diffTensors(name string, a, b *hfio.Adapter) (TensorDifference, error) {
	first, inA := a.Tensor(name)
	second, inB := b.Tensor(name)
	d := TensorDifference{Name: name, A: kindOf(first, inA), B: kindOf(second, inB)}
	if !inA || !inB || !slices.Equal(first.Shape, second.Shape) {
		return d, nil
	}
	d.Same = first.DType == second.DType && bytes.Equal(first.Data, second.Data)
	x, err := first.Float32s()
	if err != nil {
		return d, nil // no numbers to compare: Same says it all
	}
	y, err := second.Float32s()
	if err != nil {
		return d, nil
	}
	largest := maxAbsDifference(x, y)
	d.MaxAbs = &largest
	if len(first.Shape) == 2 {
		d.Cosine = rowCosines(x, y, first.Shape[1])
	}
	return d, nil
}

func kindOf(t hfio.Tensor, there bool) *TensorKind {
	if !there {
		return nil
	}
	return &TensorKind{t.DType, t.Shape}
}

func maxAbsDifference(x, y []float32) float64 {
	var largest float64
	for i := range x {
		if x[i] == y[i] || math.Float32bits(x[i]) == math.Float32bits(y[i]) {
			continue
		}
		difference := math.Abs(float64(x[i]) - float64(y[i]))
		if math.IsNaN(difference) || math.IsInf(difference, 0) {
			return math.MaxFloat64
		}
		largest = max(largest, difference)
	}
	return largest
}

// rowCosines returns the cosine of each pair of rows; of two zero rows it is 1.
func rowCosines(x, y []float32, columns int) []float64 {
	if columns == 0 {
		return nil
	}
	var cosines []float64
	for at := 0; at < len(x); at += columns {
		var xy, xx, yy float64
		for i := at; i < at+columns; i++ {
			a, b := float64(x[i]), float64(y[i])
			xy, xx, yy = xy+a*b, xx+a*a, yy+b*b
		}
		switch {
		case xx == 0 && yy == 0:
			cosines = append(cosines, 1)
		case xx == 0 || yy == 0:
			cosines = append(cosines, 0)
		default:
			cosines = append(cosines, xy/math.Sqrt(xx*yy))
		}
	}
	return cosines
}
