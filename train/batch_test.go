package train

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Every feature is read once in an epoch, and the steps of a run take them in the order
// that Order tells.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan{
			features: make([]Feature, rapid.IntRange(1, 50).Draw(t, "features")), seed: rapid.Uint64().Draw(t, "seed"),
			batchSize: rapid.IntRange(1, 9).Draw(t, "batch"), accumulate: rapid.IntRange(1, 3).Draw(t, "accumulate"),
		}
		epoch := rapid.IntRange(0, 5).Draw(t, "epoch")
		order := Order(p.seed, epoch, len(p.features))
		if read := slices.Concat(slices.Concat(p.epoch(epoch)...)...); !slices.Equal(read, order) {
			t.Fatalf("a run reads %v, Order says %v", read, order)
		}
		for i, at := range slices.Sorted(slices.Values(order)) {
			if i != at {
				t.Fatalf("Order is %v, want every number below %d once", order, len(order))
			}
		}
	})
}
