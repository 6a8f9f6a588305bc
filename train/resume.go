package train

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

var (
	// ErrNoCheckpoint: the directory holds no state of a run.
	ErrNoCheckpoint = errors.New("no checkpoint to go on from")
	// ErrOtherRun is what every OtherRunError is.
	ErrOtherRun = errors.New("the checkpoint is of another run")
)

// OtherRunError lists what differs between a checkpoint and the run that was to go on
// from it.
type OtherRunError struct {
	Dir         string
	Differences []SettingDifference // by name
}

// SettingDifference is a setting, or the hash of data, that differs.
type SettingDifference struct{ Setting, Saved, Now string }

func (e *OtherRunError) Error() string {
	var list []string
	for _, d := range e.Differences {
		list = append(list, fmt.Sprintf("%s was %s, is %s", d.Setting, or(d.Saved, "absent"), or(d.Now, "absent")))
	}
	return fmt.Sprintf("%s: %v: %s", e.Dir, ErrOtherRun, strings.Join(list, "; "))
}

// Unwrap returns ErrOtherRun.
func (e *OtherRunError) Unwrap() error { return ErrOtherRun }

// Reopen makes the model of an interrupted run, for Run with Config.Resume: the base
// must be opened as it was for the run (with the labels of the adapter's head).
func Reopen(dir string, base *models.Model) (*adapters.PeftModel, error) {
	_, state, err := openState(dir)
	if err != nil {
		return nil, err
	}
	file, err := hfio.OpenAdapter(hfio.Dir(dir), nil)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var params []hfio.Tensor
	for _, t := range state.Tensors {
		if name, ok := strings.CutPrefix(t.Name, paramPrefix); ok {
			t.Name = name
			params = append(params, t)
		}
	}
	return adapters.Resume(file, base, params)
}

// openState reads the side file of a run into memory of its own.
func openState(dir string) (stateJSON, *hfio.SafeTensors, error) {
	state, err := hfio.OpenSafeTensors(hfio.Dir(dir), hfio.StateFile, &hfio.OpenOptions{NoMap: true})
	if errors.Is(err, fs.ErrNotExist) {
		return stateJSON{}, nil, fmt.Errorf("%s: %w", dir, ErrNoCheckpoint)
	}
	if err != nil {
		return stateJSON{}, nil, err
	}
	object, err := parseState(state)
	if err != nil {
		return object, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if object.Progress == nil {
		return object, nil, fmt.Errorf("%s: %w: %s holds an encoder only", dir, ErrNoCheckpoint, hfio.StateFile)
	}
	return object, state, nil
}

// Standing is how far a run has come.
type Standing struct {
	Step, Steps int  // done, and to be done
	Done        bool // whether it came to its end: after all steps, or early for want of a better evaluation
}

// StandingOf reads how far the run has come that writes into a directory; ErrNoCheckpoint: none does.
func StandingOf(fsys fs.FS) (_ Standing, err error) {
	state, err := hfio.OpenSafeTensors(fsys, hfio.StateFile, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return Standing{}, ErrNoCheckpoint
	}
	if err != nil {
		return Standing{}, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	object, err := parseState(state)
	if err != nil {
		return Standing{}, err
	}
	p := object.Progress
	if p == nil {
		return Standing{}, ErrNoCheckpoint
	}
	steps, err := strconv.Atoi(object.Settings["steps"])
	if err != nil {
		return Standing{}, fmt.Errorf("%s: %w: steps: %w", hfio.StateFile, hfio.ErrFormat, err)
	}
	over := p.Stopped || p.Step >= steps
	return Standing{Step: p.Step, Steps: steps, Done: over && p.Measured == p.Step}, nil
}

// restore puts the run where the checkpoint stands.
func (r *run) restore() error {
	object, state, err := openState(r.cfg.Dir)
	if err != nil {
		return err
	}
	if err := r.sameRun(object.Settings); err != nil {
		return err
	}
	if r.saved, err = savedOf(state); err != nil {
		return err
	}
	r.progress = *object.Progress
	r.optimizer.step = r.progress.Step
	if err := errors.Join(r.restoreValues(state), r.checkProgress()); err != nil {
		return fmt.Errorf("%s: %w", r.cfg.Dir, err)
	}
	return r.restoreBest()
}

// restoreValues reads the values as the run left them and the moments. Where these are not kept, the values
// are those of the files beside the state, and so the best ones.
func (r *run) restoreValues(state *hfio.SafeTensors) error {
	if r.cleared() {
		values, err := r.m.saved(r.cfg.Dir)
		for i := range values {
			copy(kernel.Data(r.params[i].Param), values[i])
		}
		if r.progress.BestStep > 0 {
			r.best = values
		}
		return err
	}
	var found []error
	for i, p := range r.params {
		m := r.optimizer.moments[i]
		found = append(found,
			fill(kernel.Data(p.Param), state, paramPrefix+p.Name),
			fill(m.first, state, firstPrefix+p.Name),
			fill(m.second, state, secondPrefix+p.Name))
	}
	return errors.Join(found...)
}

// fill copies a tensor's values.
func fill(to []float32, state *hfio.SafeTensors, name string) error {
	t, ok := state.Tensor(name)
	if !ok {
		return &hfio.TensorError{File: hfio.StateFile, Name: name, Err: hfio.ErrNotFound}
	}
	values, err := t.Float32s()
	if err == nil && len(values) != len(to) {
		err = &hfio.Mismatch{Found: fmt.Sprintf("%d values", len(values)), Want: fmt.Sprint(len(to)), Kind: hfio.ErrShape}
	}
	if err != nil {
		return &hfio.TensorError{File: hfio.StateFile, Name: name, Err: err}
	}
	copy(to, values)
	return nil
}

// checkProgress refuses numbers that no run comes to.
func (r *run) checkProgress() error {
	p := r.progress
	steps := 0
	if p.Step >= 0 && p.Step <= r.steps && p.Epoch >= 0 && p.Epoch <= p.Step {
		for epoch := range p.Epoch {
			steps += len(r.plan.epoch(epoch))
		}
		if steps+p.InEpoch == p.Step && p.InEpoch >= 0 && p.InEpoch < len(r.epochSteps()) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w: step %d of %d cannot be step %d of epoch %d", hfio.StateFile, hfio.ErrFormat, p.Step, r.steps, p.InEpoch, p.Epoch)
}

// restoreBest reads the best values, whose files stand beside the state. If its
// encoder is of another moment the run was killed while a better one was written; it
// will come to that one again.
func (r *run) restoreBest() error {
	if r.progress.BestStep == 0 || r.best != nil {
		return nil
	}
	var err error
	r.best, err = r.m.saved(r.cfg.Dir)
	return err
}

// sameRun compares settings with those of the checkpoint.
func (r *run) sameRun(saved map[string]string) error {
	e := &OtherRunError{Dir: filepath.Clean(r.cfg.Dir)}
	names := slices.Collect(maps.Keys(saved))
	names = slices.AppendSeq(names, maps.Keys(r.settings))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if saved[name] != r.settings[name] {
			e.Differences = append(e.Differences, SettingDifference{name, saved[name], r.settings[name]})
		}
	}
	if e.Differences == nil {
		return nil
	}
	return e
}
