package adapters_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

// TestFrozenTokens: how many tokens are trained changes no answer of a stored prompt, and PEFT refuses
// counts that are no part of it.
func TestFrozenTokens(t *testing.T) {
	base := openBase(t, models.SeqCls)
	want := slices.Clone(forward(t, loadGolden(t, "cartridge-seq_cls", base).Forward, models.Batch{Sequences: inputs}))
	for frozen := -1; frozen <= 4; frozen++ {
		file := openFile(t, "cartridge-seq_cls")
		file.Config.NumFrozenTokens = frozen
		m, err := adapters.FromFile(file, base)
		if frozen < 0 || frozen > 3 {
			if !errors.Is(err, adapters.ErrConfig) {
				t.Errorf("%d of 3 tokens frozen: the error is %v", frozen, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		numtest.SameBits(t, forward(t, m.Forward, models.Batch{Sequences: inputs}), want)
	}
}
