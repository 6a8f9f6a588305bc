package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// The tensors of a run in gopeft_state.safetensors: the values as they are now, which
// need not be those of the adapter beside it, and AdamW's moments.
const (
	paramPrefix   = "trainer.param."
	firstPrefix   = "trainer.exp_avg."
	secondPrefix  = "trainer.exp_avg_sq."
	encoderPrefix = "encoder."
)

// progress is where a run stands. Nothing in it depends on time or machine.
type progress struct {
	Step     int     `json:"step"`     // steps done
	Epoch    int     `json:"epoch"`    // of the next step
	InEpoch  int     `json:"in_epoch"` // of the next step
	Measured int     `json:"measured"` // the last step after which the dev set was evaluated
	Best     float64 `json:"best"`
	BestStep int     `json:"best_step"` // 0: none
	Waited   int     `json:"waited"`    // evaluations since the best one
	Stopped  bool    `json:"stopped"`
	LossSum  float64 `json:"loss_sum"`
	Tokens   int     `json:"tokens"`

	Evaluations []EvalPoint `json:"evaluations"`
}

// stateJSON is the object under the metadata key adapters.StateKey.
type stateJSON struct {
	Weights  string            `json:"weights_sha256,omitempty"`
	Progress *progress         `json:"progress,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
}

// savedState is the part of the side file that belongs to the saved adapter.
type savedState struct {
	encoder []hfio.Tensor
	weights string // SHA-256 of the weights file that the encoder made
}

func savedOf(state *hfio.SafeTensors) (savedState, error) {
	if state == nil {
		return savedState{}, nil
	}
	object, err := parseState(state)
	if err != nil {
		return savedState{}, err
	}
	s := savedState{weights: object.Weights}
	for _, t := range state.Tensors {
		if strings.HasPrefix(t.Name, encoderPrefix) {
			s.encoder = append(s.encoder, t.Clone())
		}
	}
	return s, nil
}

// parseState reads the side file's object; the zero value where it has none.
func parseState(state *hfio.SafeTensors) (stateJSON, error) {
	var object stateJSON
	if text := state.Metadata[adapters.StateKey]; text != "" {
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			return object, fmt.Errorf("%s: metadata %q: %w: %w", hfio.StateFile, adapters.StateKey, hfio.ErrFormat, err)
		}
	}
	return object, nil
}

// checkpoint writes where the run stands. The adapter's own files hold the best
// adapter; as long as there is none they hold the current one.
func (r *run) checkpoint() error {
	if r.cfg.Dir == "" {
		return nil
	}
	if r.progress.BestStep == 0 {
		return r.save()
	}
	if err := r.writeState(); err != nil {
		return err
	}
	r.emit(Event{Kind: CheckpointEvent, Dir: r.cfg.Dir})
	return nil
}

// writeState writes the side file alone.
func (r *run) writeState() error {
	state, err := r.state()
	if err != nil {
		return err
	}
	data, err := hfio.EncodeSafeTensors(state.Metadata, state.Tensors)
	if err != nil {
		return err
	}
	return hfio.WriteFile(filepath.Join(r.cfg.Dir, hfio.StateFile), data)
}

// save writes what is trained as it is, and the run's state. The weights come before
// the state: after a kill between the two, a run that goes on from the older state
// comes to the same weights again.
func (r *run) save() error {
	if r.cfg.Dir == "" {
		return nil
	}
	if err := r.m.save(r); err != nil {
		return err
	}
	r.emit(Event{Kind: CheckpointEvent, Dir: r.cfg.Dir})
	return nil
}

// state makes the side file. That of a whole model whose run is over says no more than that.
func (r *run) state() (*hfio.SafeTensors, error) {
	object, err := json.Marshal(stateJSON{Weights: r.saved.weights, Progress: &r.progress, Settings: r.settings})
	if err != nil {
		return nil, err
	}
	s := &hfio.SafeTensors{
		Metadata: map[string]string{"format": "pt", adapters.StateKey: string(object)},
		Tensors:  append([]hfio.Tensor{}, r.saved.encoder...),
	}
	if r.cleared() {
		return s, nil
	}
	for i, p := range r.params {
		shape, m := shapeOf(p), r.optimizer.moments[i]
		s.Tensors = append(s.Tensors,
			hfio.NewFloat32(paramPrefix+p.Name, shape, kernel.Data(p.Param)),
			hfio.NewFloat32(firstPrefix+p.Name, shape, m.first),
			hfio.NewFloat32(secondPrefix+p.Name, shape, m.second))
	}
	return s, nil
}

// cleared tells whether there is nothing to go on from, and the values that were saved are all that is kept.
func (r *run) cleared() bool {
	return r.m.clears() && r.over() && r.progress.Measured == r.progress.Step
}

// shapeOf is a parameter's shape in torch, where a bias is a vector.
func shapeOf(p models.NamedParam) []int {
	rows, columns := kernel.Rows(p.Param), kernel.Cols(p.Param)
	last := p.Name[strings.LastIndex(p.Name, ".")+1:]
	if rows == 1 && strings.HasPrefix(last, "bias") {
		return []int{columns}
	}
	return []int{rows, columns}
}
