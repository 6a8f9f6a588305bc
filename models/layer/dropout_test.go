package layer_test

import (
	"testing"

	"github.com/gopeft/gopeft/models/layer"
)

func TestDropout(t *testing.T) {
	var evaluation *layer.Dropout
	if p := evaluation.Mask(0.5).P; p != 0 {
		t.Errorf("evaluation drops with %v", p)
	}
	first, again := layer.NewDropout(1), layer.NewDropout(1)
	seen := map[uint64]bool{}
	for range 100 {
		mask := first.Mask(0.25)
		if mask.P != 0.25 || mask != again.Mask(0.25) {
			t.Fatalf("the same seed gave another mask than %+v", mask)
		}
		if seen[mask.Key] {
			t.Fatal("a step has the same mask twice")
		}
		seen[mask.Key] = true
	}
	for seed := uint64(2); seed < 100; seed++ {
		for dropout := layer.NewDropout(seed); len(seen) < int(seed)*100; {
			key := dropout.Mask(0.25).Key
			if seen[key] {
				t.Fatalf("step %d has a mask of an earlier step", seed)
			}
			seen[key] = true
		}
	}
}
