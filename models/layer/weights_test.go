package layer_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
)

// checkpoint holds tensors of F32 that are filled with 1, 2, 3, ... in the given order.
func checkpoint(t *testing.T, tensors ...hfio.Tensor) *hfio.Checkpoint {
	t.Helper()
	for i := range tensors {
		tensors[i].DType = hfio.F32
		for range tensors[i].Size() {
			tensors[i].Data = binary.LittleEndian.AppendUint32(tensors[i].Data, math.Float32bits(float32(i+1)))
		}
	}
	return opened(t, tensors)
}

func TestNames(t *testing.T) {
	renamed := [2]string{"Norm.weight", "Norm.gamma"}
	c := checkpoint(
		t,
		hfio.Tensor{Name: "a.weight", Shape: []int{1}}, hfio.Tensor{Name: "x.a.weight", Shape: []int{1}},
		hfio.Tensor{Name: "x.b.0.weight", Shape: []int{1}},
		hfio.Tensor{Name: "c.Norm.gamma", Shape: []int{1}},
		hfio.Tensor{Name: "x.d.Norm.gamma", Shape: []int{1}},
		hfio.Tensor{Name: "x.e.Norm.weight", Shape: []int{1}}, hfio.Tensor{Name: "e.Norm.gamma", Shape: []int{1}},
		hfio.Tensor{Name: "unused", Shape: []int{1}},
	)
	w := layer.NewWeights(c, kernel.Float32, "x.", renamed)
	for _, read := range []struct {
		name string
		at   *layer.Weights
		last string
		want float32
	}{
		{"its own name comes before the prefixed", w.At("a"), "weight", 1},
		{"prefixed, with a number in the path", w.At("b", 0), "weight", 3},
		{"an older name", w.At("c"), "Norm.weight", 4},
		{"an older name, prefixed", w.At("d"), "Norm.weight", 5},
		{"today's name comes before the older", w.At("e"), "Norm.weight", 6},
	} {
		if got := read.at.Values(read.last, 1); len(got) != 1 || got[0] != read.want {
			t.Errorf("%s: found %v, want [%v]", read.name, got, read.want)
		}
	}
	if err := w.Err(); err != nil {
		t.Error(err)
	}
	read := slices.Sorted(maps.Keys(w.Read()))
	if want := []string{"a.weight", "b.0.weight", "c.Norm.weight", "d.Norm.weight", "e.Norm.weight"}; !slices.Equal(read, want) {
		t.Errorf("Read() has %q, want %q", read, want)
	}
	if w.Count() != 8 || !w.Has("unused") || w.Has("weight") || !w.At("a").HasShape("weight", 1) || w.At("a").HasShape("weight", 1, 1) {
		t.Error("Count, Has or HasShape do not say what is there")
	}
}

// All problems are in one error, in the order of reading, and what is misread is nil.
func TestProblems(t *testing.T) {
	c := checkpoint(
		t,
		hfio.Tensor{Name: "q.weight", Shape: []int{2, 3}}, hfio.Tensor{Name: "q.bias", Shape: []int{2}},
		hfio.Tensor{Name: "k.weight", Shape: []int{3, 2}}, hfio.Tensor{Name: "k.bias", Shape: []int{2}},
	)
	w := layer.NewWeights(c, kernel.Float32, "")
	if w.Linear("q", 2, 3) == nil || w.TrainedLinear("q", 2, 3, true) == nil || w.Stacked(2, 3, "q", "q") == nil {
		t.Error("a linear that is there is nil")
	}
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	if w.Linear("k", 2, 3) != nil || w.Stacked(2, 3, "q", "v") != nil || w.TrainedLinear("o", 2, 3, true) != nil {
		t.Error("a linear that is not there is not nil")
	}
	if w.Values("huge", math.MaxInt, math.MaxInt) != nil {
		t.Error("a tensor that is not there has values")
	}
	err := w.Err()
	if !errors.Is(err, hfio.ErrShape) || !errors.Is(err, hfio.ErrNotFound) {
		t.Fatalf("found %v, want hfio.ErrShape and hfio.ErrNotFound", err)
	}
	at := -1
	for _, want := range []string{`"k.weight": found [3 2], want [2 3]`, `"v.weight"`, `"v.bias"`, `"o.weight"`, `"o.bias"`, `"huge"`} {
		next := strings.Index(err.Error(), want)
		if next <= at {
			t.Errorf("%v has no %s behind the others", err, want)
		}
		at = next
	}
}

// A tensor becomes one parameter, which no second block may copy.
func TestTrainOnce(t *testing.T) {
	c := checkpoint(t, hfio.Tensor{Name: "q.weight", Shape: []int{2, 3}}, hfio.Tensor{Name: "q.bias", Shape: []int{2}})
	w := layer.NewWeights(c, kernel.Float32, "")
	w.Train()
	if w.Linear("q", 2, 3) == nil || w.Err() != nil || len(w.Params()) != 2 {
		t.Fatalf("found %d parameters and %v, want 2", len(w.Params()), w.Err())
	}
	if w.Linear("q", 2, 3) != nil || !errors.Is(w.Err(), hfio.ErrUnsupported) || len(w.Params()) != 2 {
		t.Errorf("found %d parameters and %v of a second reading, want hfio.ErrUnsupported", len(w.Params()), w.Err())
	}
}
