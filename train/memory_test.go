package train_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/train"
)

// A run whose memory comes from a pool, where what is given back holds NaN, ends with the
// same bits as one with memory of its own, with checkpointing as without.
func TestRunInPoisonedMemory(t *testing.T) {
	data := train.Dataset{Train: toy(23, 1), Dev: toy(9, 2)}
	base := openBase(t, models.SeqCls, "a", "b")
	for name, c := range methods {
		t.Run(name, func(t *testing.T) {
			trained := func(pool *models.Pool, checkpointing bool) (values [][]float32) {
				m, cfg := newModel(t, base, c.method, c.change), short
				cfg.Checkpointing = checkpointing
				if _, err := train.RunWith(pool, m, data, cfg); err != nil {
					t.Fatal(err)
				}
				for _, p := range m.Trained() {
					values = append(values, kernel.Data(p.Param))
				}
				return values
			}
			want := trained(nil, false)
			for _, checkpointing := range []bool{false, true} {
				for i, got := range trained(&models.Pool{Poison: true}, checkpointing) {
					if !numtest.SameBits(t, got, want[i]) {
						t.Errorf("in parameter %d, checkpointing %v", i, checkpointing)
					}
				}
			}
		})
	}
}

// A run may go on with checkpointing where it had none, and the other way round: the
// files are the same bytes.
func TestResumeWithOtherCheckpointing(t *testing.T) {
	data := train.Dataset{Train: toy(23, 1), Dev: toy(9, 2)}
	base := openBase(t, models.SeqCls, "a", "b")
	whole, parts := t.TempDir(), t.TempDir()
	cfg := short
	cfg.Dir = whole
	if _, err := train.Run(context.Background(), newModel(t, base, hfio.PrefixTuning, nil), data, cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Dir, cfg.Checkpointing = parts, true
	ctx, cancel := context.WithCancel(context.Background())
	cfg.OnEvent = func(e train.Event) {
		if e.Kind == train.StepEvent && e.Step == 4 {
			cancel()
		}
	}
	if _, err := train.Run(ctx, newModel(t, base, hfio.PrefixTuning, nil), data, cfg); err == nil {
		t.Fatal("the run was not interrupted")
	}
	m, err := train.Reopen(parts, base)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Checkpointing, cfg.Resume, cfg.OnEvent = false, true, nil
	if _, err := train.Run(context.Background(), m, data, cfg); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, parts, whole)
}

// After the first steps a step allocates a small part of what its tensors hold. The
// encoder of the prefix is what is large here: its weights' gradients alone are as much.
func TestStepsAllocateLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("under the race detector, with which short tests run, sync.Pool forgets")
	}
	m := newModel(t, openBase(t, models.SeqCls, "a", "b"), hfio.PrefixTuning, func(c *hfio.AdapterConfig) {
		c.PrefixProjection, c.EncoderHiddenSize = true, 20_000
	})
	gradients := 0
	for _, p := range m.Trained() {
		gradients += 4 * len(kernel.Data(p.Param))
	}
	var allocated []uint64
	cfg := train.Config{MaxSteps: 30, BatchSize: 8, OnEvent: func(e train.Event) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		allocated = append(allocated, stats.TotalAlloc)
	}}
	if _, err := train.Run(context.Background(), m, train.Dataset{Train: toy(64, 1)}, cfg); err != nil {
		t.Fatal(err)
	}
	var steps []uint64
	for i := 11; i < 30; i++ {
		steps = append(steps, allocated[i]-allocated[i-1])
	}
	slices.Sort(steps)
	if median := steps[len(steps)/2]; median > uint64(gradients)/4 {
		t.Errorf("a step allocates %s, its gradients have %s", megabytes(median), megabytes(uint64(gradients)))
	} else {
		t.Logf("a step allocates %s, its gradients have %s", megabytes(median), megabytes(uint64(gradients)))
	}
}

func megabytes(bytes uint64) string { return fmt.Sprintf("%.2f MB", float64(bytes)/1e6) }
