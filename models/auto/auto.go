// Package auto loads a base model of any known architecture. Start at [Load].
package auto

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/albert"
	"github.com/gopeft/gopeft/models/bart"
	"github.com/gopeft/gopeft/models/bert"
	"github.com/gopeft/gopeft/models/bloom"
	"github.com/gopeft/gopeft/models/deberta"
	"github.com/gopeft/gopeft/models/distilbert"
	"github.com/gopeft/gopeft/models/electra"
	"github.com/gopeft/gopeft/models/gpt2"
	"github.com/gopeft/gopeft/models/gptneox"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/llama"
	"github.com/gopeft/gopeft/models/modernbert"
	"github.com/gopeft/gopeft/models/opt"
	"github.com/gopeft/gopeft/models/roberta"
	"github.com/gopeft/gopeft/models/t5"
)

// architectures is the one table of them, by model_type.
var architectures = map[string]models.Architecture{
	"albert":      albert.Architecture,
	"bart":        bart.Architecture,
	"bert":        bert.Architecture,
	"bloom":       bloom.Architecture,
	"camembert":   roberta.Architecture("Camembert"),
	"deberta":     deberta.Architecture("Deberta"),
	"deberta-v2":  deberta.Architecture("DebertaV2"),
	"distilbert":  distilbert.Architecture,
	"electra":     electra.Architecture,
	"gemma":       llama.Architecture("gemma"),
	"gemma2":      llama.Architecture("gemma2"),
	"gemma3_text": llama.Architecture("gemma3_text"),
	"gpt2":        gpt2.Architecture,
	"gpt_neox":    gptneox.Architecture,
	"llama":       llama.Architecture("llama"),
	"mbart":       bart.MBart,
	"mistral":     llama.Architecture("mistral"),
	"mt5":         t5.MT5,
	"olmo2":       llama.Architecture("olmo2"),
	"opt":         opt.Architecture,
	"pegasus":     bart.Pegasus,
	"phi3":        llama.Architecture("phi3"),
	"modernbert":  modernbert.Architecture,
	"qwen2":       llama.Architecture("qwen2"),
	"qwen3":       llama.Architecture("qwen3"),
	"roberta":     roberta.Architecture("Roberta"),
	"smollm3":     llama.Architecture("smollm3"),
	"t5":          t5.Architecture,
	"xlm-roberta": roberta.Architecture("XLMRoberta"),
}

// ErrDType: no computation in numbers of this type.
var ErrDType = errors.New("unknown dtype to compute in")

// Options says what to load. The zero value loads the model as config.json describes it.
type Options struct {
	// Task chooses the head; "": the one that config.json's architectures names.
	Task models.Task
	// Labels name the scores of a classifier; nil: as config.json has them.
	Labels []string
	// ProblemType of SEQ_CLS; "": as config.json has it.
	ProblemType string
	// ModulesToSave are those of an adapter; see models.HeadSpec.
	ModulesToSave []string
	// Rand draws a head that the checkpoint does not hold; nil: that is an error.
	Rand *rand.Rand
	OpenOptions
}

// OpenOptions says how to load a backbone. The zero value computes in float32.
type OpenOptions struct {
	// DType is F32, or BF16 to round what is multiplied with the frozen weights, and these
	// weights, to bfloat16, forward and backward: faster, and with half the memory for
	// weights. Sums, and everything else, stay float32. "" is F32.
	DType hfio.DType
	// Train makes every weight a parameter of its own copy, for models.Model.Params: the
	// models of such a base train the same backbone, so it should have one. It goes with F32 only.
	Train bool
	Files *hfio.OpenOptions
}

// precisions are the values of OpenOptions.DType.
var precisions = map[hfio.DType]kernel.Precision{hfio.F32: kernel.Float32, hfio.BF16: kernel.BFloat16}

// Base is a loaded backbone that any number of heads can be put on. Its weights may
// lie in mapped files: Close it when no model of it is used any more.
type Base struct {
	checkpoint   *hfio.Checkpoint
	dtype        hfio.DType
	train        bool
	architecture models.Architecture
	backbone     models.HeadedBackbone
	read         *layer.Weights // what the backbone was read through
}

// Open loads a model directory without a head.
func Open(fsys fs.FS, opts *OpenOptions) (*Base, error) {
	if opts == nil {
		opts = &OpenOptions{}
	}
	dtype := cmp.Or(opts.DType, hfio.F32)
	if _, known := precisions[dtype]; !known {
		return nil, fmt.Errorf("%w: found %s, want %s or %s", ErrDType, dtype, hfio.F32, hfio.BF16)
	}
	if opts.Train && dtype != hfio.F32 {
		return nil, fmt.Errorf("%w: found %s, want %s: all weights are trained in it", ErrDType, dtype, hfio.F32)
	}
	checkpoint, err := hfio.OpenModel(fsys, opts.Files)
	if err != nil {
		return nil, err
	}
	b, err := open(checkpoint, dtype, opts.Train)
	if err != nil {
		return nil, errors.Join(err, checkpoint.Close())
	}
	return b, nil
}

func open(checkpoint *hfio.Checkpoint, dtype hfio.DType, train bool) (*Base, error) {
	config := checkpoint.Config
	architecture, known := architectures[config.ModelType]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(architectures)), ", ")
		return nil, &hfio.FieldError{
			File: config.File, Field: "model_type",
			Err: fmt.Errorf("%w: found %q, want one of: %s", models.ErrUnknownArchitecture, config.ModelType, names),
		}
	}
	if err := reject(config, architecture); err != nil {
		return nil, err
	}
	b := &Base{checkpoint: checkpoint, dtype: dtype, train: train, architecture: architecture}
	b.read = b.weights()
	backbone, err := architecture.New(config, b.read)
	if err = errors.Join(err, b.read.Err()); err != nil {
		return nil, err
	}
	b.backbone = backbone
	return b, nil
}

// reject rejects fields of a config that change the numbers of any model in transformers and
// that no architecture here reads.
// Source: transformers 5.23, configuration_utils.py; masking_utils.py for is_causal,
// cache_utils.py, get_layer_types_and_kwargs, for windows.
func reject(config hfio.ModelConfig, architecture models.Architecture) error {
	r := config.Reader()
	for _, key := range []string{"quantization_config", "per_layer_config"} {
		if r.Has(key) {
			r.Reject(key, "null")
		}
	}
	isDecoder := func(task models.Task) bool { return task == models.CausalLM || task == models.Seq2SeqLM }
	if !slices.ContainsFunc(slices.Collect(maps.Values(architecture.Tasks)), isDecoder) {
		return r.Err()
	}
	if !r.BoolOr("is_causal", true) {
		r.Reject("is_causal", "true")
	}
	const cut = "null: transformers cuts the cache of a text that it generates by it, though the model has no such window"
	if r.Has("attention_chunk_size") {
		r.Reject("attention_chunk_size", cut)
	}
	if !architecture.Windows && r.Has("sliding_window") {
		r.Reject("sliding_window", cut)
	}
	return r.Err()
}

func (b *Base) weights() *layer.Weights {
	w := layer.NewWeights(b.checkpoint, precisions[b.dtype], b.architecture.Prefix, b.architecture.Renamed...)
	if b.train {
		w.Train()
	}
	w.AlsoUnder(slices.Sorted(maps.Values(b.architecture.Prefixes))...)
	return w
}

// Config returns the model's config.json.
func (b *Base) Config() hfio.ModelConfig { return b.checkpoint.Config }

// Shape returns the model's sizes.
func (b *Base) Shape() models.Shape { return b.backbone.Shape() }

// Close unmaps the weights.
func (b *Base) Close() error { return b.checkpoint.Close() }

// Model puts a head on the backbone, which all models of a base share.
func (b *Base) Model(spec models.HeadSpec) (*models.Model, error) {
	config := b.checkpoint.Config
	if spec.Task == "" {
		task, err := b.ownTask()
		if err != nil {
			return nil, err
		}
		spec.Task = task
	}
	r := config.Reader()
	if spec.Labels == nil {
		spec.Labels = r.Labels()
	}
	if spec.ProblemType == "" {
		spec.ProblemType = r.StringOr("problem_type", "")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	weights := b.weights()
	head, isNew, err := b.backbone.NewHead(weights, spec)
	if err = errors.Join(err, weights.Err()); err != nil {
		return nil, fmt.Errorf("head of %s: %w", spec.Task, err)
	}
	m := &models.Model{
		Config: config, Task: spec.Task, Backbone: b.backbone, Head: head,
		Labels: spec.Labels, ProblemType: spec.ProblemType, NewHead: isNew, DType: b.dtype,
		Linears: slices.Concat(b.read.Linears(), weights.Linears()),
		Biases:  slices.Concat(b.read.Biases(), weights.Biases()),
	}
	if head != nil {
		m.Prefix = b.architecture.Prefix
		if other, ok := b.architecture.Prefixes[spec.Task]; ok {
			m.Prefix = other
		}
	}
	b.describe(m, weights)
	if _, ok := head.(models.EncoderReader); ok {
		withoutDecoder(m)
	}
	return m, nil
}

// withoutDecoder leaves the decoder out of what can be added to, saved or trained:
// transformers' class of such a head has none.
func withoutDecoder(m *models.Model) {
	isDecoders := func(name string) bool { return strings.HasPrefix(name, m.Prefix+"decoder.") }
	m.Linears = slices.DeleteFunc(m.Linears, func(l layer.LinearModule) bool { return isDecoders(m.Path(l.Module)) })
	m.Biases = slices.DeleteFunc(m.Biases, func(l layer.Module) bool { return isDecoders(m.Path(l)) })
	m.Tensors = slices.DeleteFunc(m.Tensors, func(t hfio.Tensor) bool { return isDecoders(t.Name) })
	m.Params = slices.DeleteFunc(m.Params, func(p models.NamedParam) bool { return isDecoders(p.Name) })
}

// describe lists what the model was read from, and what is trained of it.
func (b *Base) describe(m *models.Model, ofHead *layer.Weights) {
	var own []models.NamedParam
	if m.Head != nil {
		own = m.Head.Params()
	}
	read := b.read.Read()
	maps.Copy(read, ofHead.Read())
	for _, p := range own {
		delete(read, p.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		t := read[name]
		if t.Name = name; !ofHead.IsOutside(name) {
			t.Name = m.Prefix + name
		}
		m.Tensors = append(m.Tensors, t)
	}
	if !b.train {
		return
	}
	for _, p := range slices.Concat(b.read.Params(), ofHead.Params()) {
		named := models.NamedParam(p)
		if !ofHead.IsOutside(p.Name) {
			named.Name = m.Prefix + p.Name
		}
		m.Params = append(m.Params, named)
	}
	m.Params = append(m.Params, own...)
}

// ownTask returns the task of the class that config.json names.
func (b *Base) ownTask() (models.Task, error) {
	config := b.checkpoint.Config
	for _, class := range config.Architectures {
		if task, ok := b.architecture.Tasks[class]; ok {
			return task, nil
		}
	}
	known := strings.Join(slices.Sorted(maps.Keys(b.architecture.Tasks)), ", ")
	return "", &hfio.FieldError{
		File: config.File, Field: "architectures",
		Err: fmt.Errorf("%w: found %q, want one of: %s", models.ErrUnsupportedTask, config.Architectures, known),
	}
}

// LanguageTask returns the task of the base as a language model, MASKED_LM or CAUSAL_LM: the
// one that config.json names, or the architecture's.
func (b *Base) LanguageTask() (models.Task, error) {
	isLanguage := func(task models.Task) bool { return task == models.MaskedLM || task == models.CausalLM }
	if task, err := b.ownTask(); err == nil && isLanguage(task) {
		return task, nil
	}
	tasks := slices.Collect(maps.Values(b.architecture.Tasks))
	for _, task := range []models.Task{models.MaskedLM, models.CausalLM} {
		if slices.Contains(tasks, task) {
			return task, nil
		}
	}
	return "", fmt.Errorf("%w: %s is no language model", models.ErrUnsupportedTask, b.checkpoint.Config.ModelType)
}

// Load opens a model directory and puts the head of a task on it. Close the Base
// when the model is not used any more.
func Load(fsys fs.FS, opts *Options) (*models.Model, *Base, error) {
	if opts == nil {
		opts = &Options{}
	}
	base, err := Open(fsys, &opts.OpenOptions)
	if err != nil {
		return nil, nil, err
	}
	spec := models.HeadSpec{Task: opts.Task, Labels: opts.Labels, ProblemType: opts.ProblemType, ModulesToSave: opts.ModulesToSave, Rand: opts.Rand}
	model, err := base.Model(spec)
	if err != nil {
		return nil, nil, errors.Join(err, base.Close())
	}
	return model, base, nil
}
