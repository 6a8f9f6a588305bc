package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// Whole is a model all of whose weights are trained: full fine-tuning, what adapters are
// compared with.
type Whole struct {
	// Model must be of a base that was opened to be trained.
	Model *models.Model
	// Config is the config.json that is saved with the weights, which are float32.
	Config hfio.ModelConfig
	// Files are saved beside them, by name: the tokenizer's.
	Files map[string][]byte
}

// RunWhole trains a model as [Run] trains an adapter, and leaves in it, and in Config.Dir as
// transformers saves a model, the weights that did best on the dev set. Weight decay is not
// for biases and norms, as in transformers' Trainer.
func RunWhole(ctx context.Context, w *Whole, data Dataset, cfg Config) (_ Summary, err error) {
	defer models.Guard(&err)
	r, err := newRun(ctx, whole{w}, data, cfg)
	if err != nil {
		return Summary{}, err
	}
	return r.run()
}

// WholeDefaults returns the settings that a whole model is trained with unless others are
// given. The learning rate is for small models; see docs/defaults.md.
func WholeDefaults() Recipe {
	r := Defaults("", Encoder)
	r.VirtualTokens, r.LearningRate = 0, 3e-4
	return r
}

// whole is a Whole as a subject.
type whole struct{ *Whole }

func (w whole) base() *models.Model { return w.Model }

func (w whole) labels() []string { return w.Model.Labels }

func (w whole) virtualTokens() int { return 0 }

func (w whole) recipe() Recipe { return WholeDefaults() }

func (w whole) learnt(features []Feature) []Feature { return features }

func (w whole) stepped() {}

func (w whole) begin(c Config) error {
	var found []error
	refuse := func(bad bool, name, want string) {
		if bad {
			found = append(found, fmt.Errorf("%w: %s: found true, want false: %s", ErrConfig, name, want))
		}
	}
	refuse(c.HeadOnly, "head_only", "the whole model is trained")
	refuse(c.Checkpointing, "checkpointing", "layers that are trained themselves are not computed again")
	if w.Model.Params == nil {
		found = append(found, fmt.Errorf("%w: the base is frozen, want one that was opened to be trained", ErrConfig))
	}
	return errors.Join(found...)
}

func (w whole) trained() []models.NamedParam { return w.Model.Params }

// decays is transformers' rule, get_decay_parameter_names in trainer.py: all but norms,
// which are the vectors beside biases, and what has bias in its name.
func (w whole) decays(p models.NamedParam) bool {
	return len(w.shape(p)) > 1 && !strings.Contains(strings.ToLower(p.Name), "bias")
}

// shape is a parameter's shape in torch, where a vector is no row.
func (w whole) shape(p models.NamedParam) []int {
	i := slices.IndexFunc(w.Model.Tensors, func(t hfio.Tensor) bool { return t.Name == p.Name })
	if i < 0 {
		return shapeOf(p)
	}
	return w.Model.Tensors[i].Shape
}

func (w whole) forward(batch models.Batch) (mat.Tensor, models.Output, error) {
	return w.Model.Forward(batch)
}

// evaluate keeps no gradients.
func (w whole) evaluate(ctx context.Context, features []Feature, batchSize int, pool *models.Pool) (Evaluation, error) {
	w.track(false)
	defer w.track(true)
	return measured{w.Model, w.labels(), w.Model.Forward}.evaluate(ctx, features, batchSize, pool)
}

func (w whole) track(gradients bool) {
	for _, p := range w.Model.Params {
		p.Param.SetRequiresGrad(gradients)
	}
}

func (w whole) describe() (map[string]string, error) {
	return map[string]string{"config": hash(w.Config.Encode()), "labels": fmt.Sprint(w.labels())}, nil
}

// save writes config.json last: a directory that has one can be used, and gone on from.
func (w whole) save(r *run) error {
	var tensors []hfio.Tensor
	for _, p := range w.Model.Params {
		tensors = append(tensors, hfio.NewFloat32(p.Name, w.shape(p), kernel.Data(p.Param)))
	}
	weights, err := hfio.EncodeSafeTensors(map[string]string{"format": "pt"}, tensors)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.cfg.Dir, 0o777); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(r.cfg.Dir, name) }
	for _, name := range slices.Sorted(maps.Keys(w.Files)) {
		if err := hfio.WriteFile(in(name), w.Files[name]); err != nil {
			return err
		}
	}
	if err := hfio.WriteFile(in(hfio.ModelWeightsFile), weights); err != nil {
		return err
	}
	if err := r.writeState(); err != nil {
		return err
	}
	return hfio.WriteFile(in(hfio.ModelConfigFile), w.Config.Encode())
}

func (w whole) saved(dir string) ([][]float32, error) {
	file, err := hfio.OpenSafeTensors(hfio.Dir(dir), hfio.ModelWeightsFile, nil)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	values := valuesOf(w.Model.Params)
	var found []error
	for i, p := range w.Model.Params {
		found = append(found, fill(values[i], file, p.Name))
	}
	return values, errors.Join(found...)
}

func (w whole) clears() bool { return true }
