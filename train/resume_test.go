package train_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/train"
)

// A run that is cancelled after any step, even after every one, ends with the bytes of
// one that was not.
func TestInterruptedRunsEndWithTheSameBytes(t *testing.T) {
	for name, c := range methods {
		for _, dev := range []int{11, 0} {
			if dev == 0 && name != "p-tuning" {
				continue // the files differ from those with a dev set in one way for all methods
			}
			data := train.Dataset{Train: toy(23, 1), Dev: toy(dev, 2)}
			t.Run(fmt.Sprintf("%s, %d dev examples", name, dev), func(t *testing.T) {
				t.Parallel()
				whole := t.TempDir()
				steps := runIn(t, whole, c.method, c.change, data, 0)
				if steps != 9 {
					t.Fatalf("found %d steps, want 9: 3 epochs of 23 examples in batches of 5, 2 a step", steps)
				}
				for at := 1; at < steps; at++ {
					dir := t.TempDir()
					runIn(t, dir, c.method, c.change, data, at)
					sameFiles(t, dir, whole)
				}
				dir := t.TempDir()
				runIn(t, dir, c.method, c.change, data, -1)
				sameFiles(t, dir, whole)
			})
		}
	}
}

// So does one of CPT, whose words are known beside what is added to them, and the context has labels that
// are learnt with those of the sequences.
func TestInterruptedRunsOfCPT(t *testing.T) {
	base, file, err := auto.Load(hfio.Dir("../hfio/testdata/gguf/llama"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	change := func(c *hfio.AdapterConfig) {
		c.NumVirtualTokens, c.CPTTokenIDs, c.CPTTokensTypeMask = 0, []int{5, 6, 7, 8}, []int{2, 3, 4, 4}
	}
	writing := func(n, first int) (features []train.Feature) {
		for i := range n {
			features = append(features, train.Feature{IDs: []int{first, 4 + i%9, 3}, Reads: []int{0, 1}, Targets: []int{4 + i%9, 3}})
		}
		return features
	}
	data := train.Dataset{Train: writing(23, 9), Dev: writing(5, 11)}
	whole := t.TempDir()
	steps := runOn(t, base, whole, hfio.CPT, change, data, 0)
	for _, at := range []int{1, steps - 1, -1} {
		dir := t.TempDir()
		runOn(t, base, dir, hfio.CPT, change, data, at)
		sameFiles(t, dir, whole)
	}
}

// runIn trains until the end, cancelled once after step stop, or after each step if
// stop is -1.
func runIn(t *testing.T, dir string, method hfio.PeftType, change func(*hfio.AdapterConfig), data train.Dataset, stop int) int {
	t.Helper()
	return runOn(t, openBase(t, models.SeqCls, "a", "b"), dir, method, change, data, stop)
}

func runOn(t *testing.T, base *models.Model, dir string, method hfio.PeftType, change func(*hfio.AdapterConfig), data train.Dataset, stop int) int {
	t.Helper()
	cfg := short
	cfg.Dir = dir
	m := newModel(t, base, method, change)
	for {
		ctx, cancel := context.WithCancel(context.Background())
		cfg.OnEvent = func(e train.Event) {
			if e.Kind == train.StepEvent && (stop < 0 || e.Step == stop) {
				cancel()
			}
		}
		s, err := train.Run(ctx, m, data, cfg)
		cancel()
		at, standingErr := train.StandingOf(hfio.Dir(dir))
		if standingErr != nil || at.Step != s.Steps || at.Done != (err == nil) {
			t.Fatalf("StandingOf() = %+v, %v after step %d, with %v", at, standingErr, s.Steps, err)
		}
		if err == nil {
			if at.Steps != s.Steps {
				t.Fatalf("StandingOf() = %+v, want %d steps", at, s.Steps)
			}
			return s.Steps
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stop > 0 && s.Steps != stop {
			t.Fatalf("stopped after step %d, want %d", s.Steps, stop)
		}
		cfg.Resume = true
		if m, err = train.Reopen(dir, base); err != nil {
			t.Fatal(err)
		}
	}
}

// A kill leaves the files as some write left them: new weights beside an old state, be
// they those of the first best adapter or of a later one.
func TestResumeBetweenTwoWrites(t *testing.T) {
	for name, c := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := train.Dataset{Train: toy(23, 1), Dev: toy(23, 1)} // learnt by heart: the loss falls
			base := openBase(t, models.SeqCls, "a", "b")
			cfg := short
			cfg.Dir, cfg.Metric, cfg.EvalSteps, cfg.SaveSteps, cfg.WarmupRatio = t.TempDir(), "loss", 2, 1, -1
			var kept []map[string]string
			cfg.OnEvent = func(e train.Event) {
				if e.Kind == train.CheckpointEvent {
					kept = append(kept, files(t, cfg.Dir))
				}
			}
			if _, err := train.Run(context.Background(), newModel(t, base, c.method, c.change), data, cfg); err != nil {
				t.Fatal(err)
			}
			whole := cfg.Dir
			cfg.OnEvent = nil
			better := 0 // times that the weights of a best adapter were written
			for i, now := range kept[1:] {
				older := kept[i]
				if now[hfio.AdapterWeightsFile] == older[hfio.AdapterWeightsFile] {
					continue // one file was written
				}
				better++
				now[hfio.StateFile] = older[hfio.StateFile]
				cfg.Dir, cfg.Resume = t.TempDir(), true
				for name, data := range now {
					if err := os.WriteFile(filepath.Join(cfg.Dir, name), []byte(data), 0o666); err != nil {
						t.Fatal(err)
					}
				}
				m, err := train.Reopen(cfg.Dir, base)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := train.Run(context.Background(), m, data, cfg); err != nil {
					t.Fatal(err)
				}
				sameFiles(t, cfg.Dir, whole)
			}
			if better < 3 { // after step 1, of the first best adapter, of a later one
				t.Errorf("weights were written %d times, want 3 or more", better)
			}
		})
	}
}

func TestResumeOfAnotherRun(t *testing.T) {
	dir := t.TempDir()
	data := train.Dataset{Train: toy(23, 1)}
	runIn(t, dir, hfio.PromptTuning, nil, data, 0)
	base := openBase(t, models.SeqCls, "a", "b")
	m, err := train.Reopen(dir, base)
	if err != nil {
		t.Fatal(err)
	}
	cfg := short
	cfg.Dir, cfg.Resume, cfg.LearningRate = dir, true, 0.1
	_, err = train.Run(context.Background(), m, train.Dataset{Train: toy(23, 9)}, cfg)
	var other *train.OtherRunError
	if !errors.As(err, &other) || !errors.Is(err, train.ErrOtherRun) {
		t.Fatalf("found %v, want an OtherRunError", err)
	}
	var names []string
	for _, d := range other.Differences {
		names = append(names, d.Setting)
	}
	if diff := cmp.Diff([]string{"learning_rate", "train_data"}, names); diff != "" {
		t.Error(diff)
	}
	cfg.Dir = t.TempDir()
	if _, err := train.Run(context.Background(), m, data, cfg); !errors.Is(err, train.ErrNoCheckpoint) {
		t.Errorf("found %v, want ErrNoCheckpoint", err)
	}
}
