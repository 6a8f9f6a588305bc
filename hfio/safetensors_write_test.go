package hfio

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEncodeSafeTensorsRefuses(t *testing.T) {
	ok := NewFloat32("a", []int{1}, []float32{1})
	tests := []struct {
		name    string
		tensors []Tensor
		is      error
	}{
		{"reserved name", []Tensor{NewFloat32("__metadata__", []int{1}, []float32{1})}, ErrValue},
		{"name not UTF-8", []Tensor{NewFloat32("\xff", []int{1}, []float32{1})}, ErrValue},
		{"duplicate", []Tensor{ok, ok}, ErrValue},
		{"shape", []Tensor{NewFloat32("a", []int{2}, []float32{1})}, ErrShape},
		{"negative", []Tensor{NewFloat32("a", []int{-1, -1}, []float32{1})}, ErrShape},
		{"dtype", []Tensor{{Name: "a", DType: "F33"}}, ErrDType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := EncodeSafeTensors(nil, tt.tensors); !errors.Is(err, tt.is) {
				t.Errorf("err = %v, want %v", err, tt.is)
			}
		})
	}
}

func TestEncodedTensorsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.String().Filter(func(s string) bool {
			return s != "__metadata__" && strings.ToValidUTF8(s, "") == s
		}), func(s string) string { return s }).Draw(t, "names")
		dtypes := rapid.SampledFrom([]DType{F64, F32, F16, BF16, I64, U8, Bool, F8E4M3, C64})
		var tensors []Tensor
		for _, name := range names {
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 3).Draw(t, "shape")
			tensor := Tensor{Name: name, DType: dtypes.Draw(t, "dtype"), Shape: shape}
			size, _ := byteSize(tensor.DType, shape)
			tensor.Data = rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "data")
			tensors = append(tensors, tensor)
		}
		data, err := EncodeSafeTensors(nil, tensors)
		if err != nil {
			t.Fatal(err)
		}
		file, err := ParseSafeTensors("x", data)
		if err != nil || len(file.Tensors) != len(tensors) || file.Metadata != nil {
			t.Fatalf("read back %d of %d: %v", len(file.Tensors), len(tensors), err)
		}
		for _, want := range tensors {
			got, _ := file.Tensor(want.Name)
			if got.DType != want.DType || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}
