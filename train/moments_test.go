package train_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/train"
)

// countdown is cancelled as soon as it was asked so many times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A run looks at its context between the batches of a step and of an evaluation too. At
// whichever of these moments it ends, going on ends with the same bytes.
func TestInterruptedAtEveryMoment(t *testing.T) {
	for _, name := range []string{"p-tuning", "prefix tuning"} { // with and without an encoder to keep
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := methods[name]
			data := train.Dataset{Train: toy(23, 1), Dev: toy(11, 2)}
			base := openBase(t, models.SeqCls, "a", "b")
			cfg := short
			cfg.Epochs, cfg.EvalSteps, cfg.SaveSteps, cfg.EvalBatchSize = 2, 4, 3, 4
			cfg.Dir = t.TempDir()
			whole := cfg.Dir
			if _, err := train.Run(context.Background(), newModel(t, base, c.method, c.change), data, cfg); err != nil {
				t.Fatal(err)
			}
			moment := 0
			for ; ; moment++ {
				cfg.Dir, cfg.Resume = t.TempDir(), false
				_, err := train.Run(&countdown{context.Background(), moment}, newModel(t, base, c.method, c.change), data, cfg)
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				cfg.Resume = true
				m, err := train.Reopen(cfg.Dir, base)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := train.Run(context.Background(), m, data, cfg); err != nil {
					t.Fatal(err)
				}
				sameFiles(t, cfg.Dir, whole)
			}
			// 10 batches of training, and 3 of each of 2 evaluations, at the least.
			if moment < 16 {
				t.Errorf("found %d moments, want 16 or more", moment)
			}
		})
	}
}
