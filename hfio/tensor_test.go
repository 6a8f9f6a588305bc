package hfio

import (
	"errors"
	"math"
	"testing"
)

func TestConvertRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		from Tensor
		to   DType
		is   error
	}{
		"from integers": {Tensor{Name: "x", DType: I64, Shape: []int{0}}, F32, ErrDType},
		"to integers":   {NewFloat32("x", []int{1}, []float32{1}), U8, ErrDType},
		"wrong size":    {NewFloat32("x", []int{2}, []float32{1}), F16, ErrShape},
	} {
		_, err := tt.from.Convert(tt.to)
		var tensorErr *TensorError
		if !errors.Is(err, tt.is) || !errors.As(err, &tensorErr) || tensorErr.Name != "x" {
			t.Errorf("%s: err = %v, want %v", name, err, tt.is)
		}
	}
}

func TestCloneOwnsItsData(t *testing.T) {
	a := NewFloat32("x", []int{2}, []float32{1, 2})
	b := a.Clone()
	b.Data[0], b.Shape[0] = 9, 9
	if a.Data[0] == 9 || a.Shape[0] == 9 {
		t.Error("the clone shares memory")
	}
}

func TestByteSize(t *testing.T) {
	for _, tt := range []struct {
		dtype DType
		shape []int
		want  int
		ok    bool
	}{
		{F32, nil, 4, true},
		{F64, []int{2, 3}, 48, true},
		{F4, []int{2}, 1, true},
		{F6E2M3, []int{4}, 3, true},
		{F6E2M3, []int{1}, 0, false},
		{U8, []int{0, math.MaxInt, math.MaxInt}, 0, true},
		{U8, []int{math.MaxInt, 3, 0}, 0, false},
		{U8, []int{math.MaxInt}, 0, false}, // in bits it does not fit 64
		{U8, []int{-1}, 0, false},
	} {
		if got, ok := byteSize(tt.dtype, tt.shape); got != tt.want || ok != tt.ok {
			t.Errorf("byteSize(%s, %v) = %d, %v, want %d, %v", tt.dtype, tt.shape, got, ok, tt.want, tt.ok)
		}
	}
}
