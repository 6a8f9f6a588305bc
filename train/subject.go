package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// subject is what a run trains: an adapter on a frozen base, or a whole model.
type subject interface {
	base() *models.Model
	labels() []string // names of the outputs; nil: there are none
	virtualTokens() int
	recipe() Recipe
	// begin reports settings that the subject cannot be trained with, or makes it ready.
	begin(Config) error
	// learnt are the features with what is to be learnt beside them.
	learnt([]Feature) []Feature
	// stepped is told when a step has changed the parameters.
	stepped()
	// trained lists the parameters, always in the same order.
	trained() []models.NamedParam
	// decays tells whether weight decay is for a parameter.
	decays(models.NamedParam) bool
	forward(models.Batch) (mat.Tensor, models.Output, error)
	evaluate(ctx context.Context, features []Feature, batchSize int, pool *models.Pool) (Evaluation, error)
	// describe names what the bytes of a run depend on, beyond settings and data.
	describe() (map[string]string, error)
	// save writes the subject as it is, and then the state of the run.
	save(*run) error
	// saved returns the values of the parameters that save wrote.
	saved(dir string) ([][]float32, error)
	// clears tells whether the state of a run that is over holds no values and moments, which
	// take three times as much as what was trained.
	clears() bool
}

// tuned is an adapter.
type tuned struct{ *adapters.PeftModel }

func (t tuned) base() *models.Model { return t.Base }

func (t tuned) labels() []string {
	if t.Info.Labels != nil {
		return t.Info.Labels
	}
	return t.Base.Labels
}

func (t tuned) virtualTokens() int { return t.Config.NumVirtualTokens }

func (t tuned) recipe() Recipe { return Defaults(t.Config.PeftType, KindOf(t.Base)) }

func (t tuned) begin(cfg Config) error {
	if len(t.Trained()) == 0 {
		return fmt.Errorf("%w: the adapter cannot be trained on: PEFT does not keep the encoder that made its prompt", ErrConfig)
	}
	if cfg.Checkpointing && t.Config.PeftType == hfio.Lora {
		return fmt.Errorf("%w: checkpointing: found true, want false with %s: layers that are trained themselves are not computed again", ErrConfig, hfio.Lora)
	}
	for _, p := range t.Adapter.Trained() {
		p.Param.SetRequiresGrad(!cfg.HeadOnly)
	}
	return nil
}

// learnt adds the labels of virtual tokens, where the adapter has them.
func (t tuned) learnt(features []Feature) []Feature {
	contextual, ok := t.Adapter.(adapters.Contextual)
	if !ok {
		return features
	}
	context := contextual.Context()
	var reads, targets []int
	var weights []float32
	for i, label := range context.Labels {
		if label != models.Ignored {
			reads, targets, weights = append(reads, i-1-len(context.Labels)), append(targets, label), append(weights, context.Weights[i])
		}
	}
	features = slices.Clone(features)
	for i := range features {
		f := &features[i]
		f.Weights = slices.Concat(weights, slices.Repeat([]float32{1}, len(f.Targets)))
		f.Reads, f.Targets = slices.Concat(reads, f.Reads), slices.Concat(targets, f.Targets)
	}
	return features
}

func (t tuned) stepped() {
	if p, ok := t.Adapter.(adapters.Projected); ok {
		p.Project()
	}
}

func (t tuned) trained() []models.NamedParam { return t.Trained() }

func (t tuned) decays(models.NamedParam) bool { return true }

func (t tuned) forward(batch models.Batch) (mat.Tensor, models.Output, error) {
	return t.Forward(batch)
}

func (t tuned) evaluate(ctx context.Context, features []Feature, batchSize int, pool *models.Pool) (Evaluation, error) {
	frozen, err := t.Freeze()
	if err != nil {
		return Evaluation{}, err
	}
	return measured{t.Base, t.labels(), frozen.Forward}.evaluate(ctx, features, batchSize, pool)
}

func (t tuned) describe() (map[string]string, error) {
	config, err := t.Config.Encode()
	if err != nil {
		return nil, err
	}
	s := map[string]string{"adapter_config": hash(config), "labels": fmt.Sprint(t.Base.Labels)}
	if t.Info.Template != "" {
		s["template"], s["verbalizer"] = t.Info.Template, fmt.Sprint(t.Info.Verbalizer)
		if t.Info.Verbalizer == nil {
			delete(s, "labels") // the whole vocabulary, which is the base's
		}
	}
	return s, nil
}

func (t tuned) save(r *run) error {
	file, err := t.File()
	if err != nil {
		return err
	}
	if r.saved, err = savedOf(file.State); err != nil {
		return err
	}
	if file.State, err = r.state(); err != nil {
		return err
	}
	return hfio.WriteAdapter(r.cfg.Dir, file)
}

func (t tuned) saved(dir string) ([][]float32, error) {
	best, err := adapters.Load(hfio.Dir(dir), t.Base)
	if err != nil {
		return nil, err
	}
	return valuesOf(best.Trained()), nil
}

// clears: an adapter is small, and [Reopen] makes its model of the state.
func (t tuned) clears() bool { return false }

// valuesOf copies the values of parameters.
func valuesOf(params []models.NamedParam) [][]float32 {
	values := make([][]float32, len(params))
	for i, p := range params {
		values[i] = slices.Clone(kernel.Data(p.Param))
	}
	return values
}
