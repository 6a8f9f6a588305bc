package train

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// step does one optimiser step: the gradients of its batches, weighted so that their
// sum is that of the mean over all of them, then clipping and AdamW.
func (r *run) step() error {
	p := &r.progress
	batches := r.epochSteps()[p.InEpoch]
	defer r.pool.Reset() // when the gradients, which are the pool's too, are forgotten
	defer r.optimizer.ZeroGrad()
	loss, err := r.gradients(batches)
	if err != nil {
		return err
	}
	norm := ClipGradNorm(r.params, r.cfg.ClipNorm)
	if math.IsNaN(norm) || math.IsInf(norm, 0) || math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%w: in step %d the loss is %v and the norm of the gradients %v", ErrDiverged, p.Step+1, loss, norm)
	}
	rate := r.cfg.LearningRate * r.cfg.Schedule.Factor(p.Step, r.warmup, r.steps)
	r.optimizer.Step(rate)
	r.m.stepped()
	r.advance(batches, loss)
	r.emit(r.stepEvent(loss, rate, norm))
	return nil
}

// epochSteps returns the steps of the current epoch.
func (r *run) epochSteps() [][][]int {
	if r.planned != r.progress.Epoch {
		r.epochPlan, r.planned = r.plan.epoch(r.progress.Epoch), r.progress.Epoch
	}
	return r.epochPlan
}

// gradients adds up the gradients of batches and returns their loss.
func (r *run) gradients(batches [][]int) (float64, error) {
	terms := 0
	for _, index := range batches {
		terms += counted(r.m.base().Task, pick(r.data.Train, index))
	}
	sum := 0.0
	for i, index := range batches {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		batch := pick(r.data.Train, index)
		n := counted(r.m.base().Task, batch)
		if n == 0 {
			continue // tokens none of which counts
		}
		weight := float64(n) / float64(terms)
		loss, err := r.backward(batch, i, float32(weight))
		if err != nil {
			return 0, fmt.Errorf("step %d: %w", r.progress.Step+1, err)
		}
		sum += weight * loss
	}
	return sum, nil
}

// backward adds the gradients of one batch, times weight, and returns its loss.
func (r *run) backward(features []Feature, number int, weight float32) (float64, error) {
	batch := models.Batch{Sequences: sequences(features), Pool: r.pool, Checkpointing: r.cfg.Checkpointing}
	if !r.cfg.NoDropout {
		batch.Dropout = dropoutOf(r.cfg.Seed, r.progress.Step, number)
	}
	logits, out, err := r.m.forward(batch)
	if err != nil {
		return 0, err
	}
	task := r.m.base().Task
	loss, err := models.Loss(task, r.m.base().ProblemType, logits, out, labelsOf(task, features, out))
	if err != nil {
		return 0, err
	}
	value := float64(models.Values(loss)[0])
	loss.AccGrad(kernel.New(1, 1, []float32{weight}))
	return value, ag.Backward(loss)
}

// advance notes that a step is done.
func (r *run) advance(batches [][]int, loss float64) {
	p := &r.progress
	p.Step++
	p.LossSum += loss
	for _, index := range batches {
		p.Tokens += tokensOf(pick(r.data.Train, index))
	}
	if p.InEpoch++; p.InEpoch == len(r.epochPlan) {
		p.Epoch, p.InEpoch = p.Epoch+1, 0
	}
}

func (r *run) stepEvent(loss, rate, norm float64) Event {
	e := Event{Kind: StepEvent, Loss: loss, LearningRate: rate, GradNorm: norm, Tokens: r.progress.Tokens}
	elapsed := time.Since(r.started)
	if s := elapsed.Seconds(); s > 0 {
		e.TokensPerSecond = float64(r.progress.Tokens-r.beganTokens) / s
	}
	done := r.progress.Step - r.beganStep
	e.Remaining = time.Duration(float64(elapsed) / float64(done) * float64(r.steps-r.progress.Step))
	return e
}

func (r *run) emit(e Event) {
	if r.cfg.OnEvent == nil {
		return
	}
	e.Step, e.Steps, e.Epoch = r.progress.Step, r.steps, r.epochs()
	r.cfg.OnEvent(e)
}

// epochs returns the passes done, with the part of the current one.
func (r *run) epochs() float64 {
	p := r.progress
	if p.InEpoch == 0 {
		return float64(p.Epoch)
	}
	return float64(p.Epoch) + float64(p.InEpoch)/float64(len(r.epochSteps()))
}

func (r *run) summary() Summary {
	p := r.progress
	s := Summary{
		Steps: p.Step, Epochs: r.epochs(), Tokens: p.Tokens, Stopped: p.Stopped,
		Best: p.Best, BestStep: p.BestStep,
		Evaluations: slices.Clone(p.Evaluations), Elapsed: time.Since(r.started),
	}
	if p.Step > 0 {
		s.Loss = p.LossSum / float64(p.Step)
	}
	if len(r.data.Dev) > 0 {
		s.Metric = r.cfg.Metric
	}
	for _, param := range r.params {
		if param.Param.RequiresGrad() {
			s.Parameters += len(kernel.Data(param.Param))
		}
	}
	return s
}
