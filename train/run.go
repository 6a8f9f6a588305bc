package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// ErrDiverged: the loss is no number any more.
var ErrDiverged = errors.New("training diverged")

// Run trains a model and leaves in it, and in Config.Dir, the adapter that did best
// on the dev set, or the last one where there is none. The gradients come from the
// loss that transformers computes over the whole batch, with dropout as in the base's
// config.
//
// If ctx is cancelled the step under way is given up, a checkpoint of the last whole
// one is written, and the error wraps ctx's. A run that goes on from a checkpoint ends
// with the same bytes as one that was never interrupted; m may then come from [Reopen].
func Run(ctx context.Context, m *adapters.PeftModel, data Dataset, cfg Config) (_ Summary, err error) {
	defer models.Guard(&err)
	r, err := newRun(ctx, tuned{m}, data, cfg)
	if err != nil {
		return Summary{}, err
	}
	return r.run()
}

// run does the whole run.
func (r *run) run() (Summary, error) {
	if err := r.begin(); err != nil {
		return r.summary(), err
	}
	if err := r.loop(); err != nil {
		return r.summary(), r.interrupted(err)
	}
	return r.finish()
}

// run is one call of Run.
type run struct {
	ctx       context.Context
	m         subject
	data      Dataset
	cfg       Config
	plan      plan
	steps     int
	warmup    int
	params    []models.NamedParam
	optimizer *AdamW
	progress  progress
	settings  map[string]string
	pool      *models.Pool
	best      [][]float32 // values of params; nil: nothing was evaluated
	saved     savedState

	epochPlan   [][][]int // the current epoch's steps
	planned     int       // the epoch that epochPlan is of
	started     time.Time
	beganStep   int // progress when this call began
	beganTokens int
}

func newRun(ctx context.Context, m subject, data Dataset, cfg Config) (*run, error) {
	cfg = cfg.filled(m)
	if err := errors.Join(cfg.check(m.base()), m.begin(cfg), checkData(m, data)); err != nil {
		return nil, err
	}
	data.Train = labelled(m.base().Task, m.learnt(data.Train))
	r := &run{ctx: ctx, m: m, data: data, cfg: cfg, params: m.trained(), planned: -1, started: time.Now(), pool: models.NewPool()}
	r.plan = plan{
		features: data.Train, seed: cfg.Seed,
		batchSize: cfg.BatchSize, batchTokens: cfg.BatchTokens, accumulate: cfg.Accumulate,
	}
	r.steps = r.countSteps()
	r.warmup = cfg.WarmupSteps
	if r.warmup == 0 {
		r.warmup = int(math.Ceil(cfg.WarmupRatio * float64(r.steps)))
	}
	r.optimizer = NewAdamW(r.params)
	r.optimizer.Decays = m.decays
	r.optimizer.Beta1, r.optimizer.Beta2 = cfg.Beta1, cfg.Beta2
	r.optimizer.Epsilon, r.optimizer.WeightDecay = cfg.Epsilon, cfg.WeightDecay
	return r, nil
}

func (r *run) countSteps() int {
	if r.cfg.MaxSteps > 0 && r.cfg.Epochs == 0 {
		return r.cfg.MaxSteps
	}
	steps := 0
	for epoch := range r.cfg.Epochs {
		steps += len(r.plan.epoch(epoch))
	}
	if r.cfg.MaxSteps > 0 {
		return min(steps, r.cfg.MaxSteps)
	}
	return steps
}

// begin takes up a checkpoint, or writes the first one.
func (r *run) begin() error {
	if r.cfg.Dir == "" {
		return nil
	}
	var err error
	if r.settings, err = r.describe(); err != nil {
		return err
	}
	if r.cfg.Resume {
		err = r.restore()
		r.beganStep, r.beganTokens = r.progress.Step, r.progress.Tokens
		return err
	}
	// A kill during the first write must not leave an older run's state beside new weights.
	if err := os.Remove(filepath.Join(r.cfg.Dir, hfio.StateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return r.checkpoint()
}

// loop alternates what is due after a step and the next step.
func (r *run) loop() error {
	for {
		if r.due() {
			if err := r.measure(); err != nil {
				return err
			}
		}
		if r.over() {
			return nil
		}
		if err := r.step(); err != nil {
			return err
		}
		if n := r.cfg.SaveSteps; n > 0 && r.progress.Step%n == 0 && !r.due() {
			if err := r.checkpoint(); err != nil {
				return err
			}
		}
	}
}

func (r *run) over() bool { return r.progress.Stopped || r.progress.Step >= r.steps }

// due tells whether the steps done call for an evaluation that was not made yet.
func (r *run) due() bool {
	p := &r.progress
	if p.Step == 0 || p.Measured == p.Step {
		return false
	}
	if n := r.cfg.EvalSteps; n > 0 && p.Step%n == 0 {
		return true
	}
	return p.Step >= r.steps || r.cfg.EvalSteps == 0 && p.InEpoch == 0
}

// measure evaluates, where there is a dev set, and saves what is to be kept.
func (r *run) measure() error {
	if len(r.data.Dev) == 0 {
		r.progress.Measured = r.progress.Step
		return r.checkpoint()
	}
	e, err := r.m.evaluate(r.ctx, r.data.Dev, r.cfg.EvalBatchSize, r.pool)
	if err != nil {
		return err
	}
	value, err := r.value(e)
	if err != nil {
		return err
	}
	better := r.take(e, value)
	r.emit(Event{Kind: EvalEvent, Loss: e.Loss, Metrics: e.Metrics, Metric: r.cfg.Metric, Best: better})
	if better {
		return r.save()
	}
	return r.checkpoint()
}

// value returns the metric that decides.
func (r *run) value(e Evaluation) (float64, error) {
	if math.IsNaN(e.Loss) || math.IsInf(e.Loss, 0) {
		return 0, fmt.Errorf("%w: the dev loss is %v after step %d", ErrDiverged, e.Loss, r.progress.Step)
	}
	if r.cfg.Metric == "loss" {
		return e.Loss, nil
	}
	return e.Metrics[r.cfg.Metric], nil
}

// take notes an evaluation and tells whether it is the best so far.
func (r *run) take(e Evaluation, value float64) bool {
	p := &r.progress
	p.Measured = p.Step
	p.Evaluations = append(p.Evaluations, EvalPoint{Step: p.Step, Loss: e.Loss, Metrics: e.Metrics})
	if p.BestStep > 0 && !Better(r.cfg.Metric, value, p.Best) {
		p.Waited++
		p.Stopped = r.cfg.Patience > 0 && p.Waited >= r.cfg.Patience
		return false
	}
	p.Best, p.BestStep, p.Waited = value, p.Step, 0
	r.best = valuesOf(r.params)
	return true
}

// interrupted saves where a cancelled run stands.
func (r *run) interrupted(err error) error {
	if r.ctx.Err() == nil {
		return err
	}
	at := fmt.Errorf("training interrupted after step %d of %d: %w", r.progress.Step, r.steps, context.Cause(r.ctx))
	if !errors.Is(at, r.ctx.Err()) {
		at = fmt.Errorf("%w: %w", at, r.ctx.Err())
	}
	if errors.Is(err, r.ctx.Err()) {
		err = nil // at says it
	}
	if err = errors.Join(err, r.checkpoint()); err != nil {
		return errors.Join(at, err)
	}
	return at
}

// finish leaves the best adapter in the model.
func (r *run) finish() (Summary, error) {
	for i, values := range r.best {
		copy(kernel.Data(r.params[i].Param), values)
	}
	s := r.summary()
	r.emit(Event{Kind: DoneEvent, Loss: s.Loss, Tokens: s.Tokens})
	return s, nil
}
