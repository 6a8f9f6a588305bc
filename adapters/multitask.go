package adapters

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Multitask is one prompt for several tasks (Wang et al. 2023, "Multitask Prompt
// Tuning Enables Parameter-Efficient Transfer Learning"): the rows that they share,
// scaled for each task by a matrix of low rank. A sequence names its task with TaskID.
type Multitask struct {
	nn.Module
	Embedding *nn.Param // [P, d]: what the tasks share
	Cols      *nn.Param // [N·P, r]: a matrix [P, r] for each of N tasks
	Rows      *nn.Param // [N·r, d]: a matrix [r, d] for each

	config hfio.AdapterConfig
}

var (
	_ Adapter   = (*Multitask)(nil)
	_ multitask = (*Multitask)(nil)
)

// The parameters of PEFT's MultitaskPromptEmbedding, and their tensors in the file.
const (
	taskColsName = "prefix_task_cols"
	taskRowsName = "prefix_task_rows"
)

// The values of prompt_tuning_init that start from another adapter, besides those of
// PROMPT_TUNING. The target stage of the paper has one task.
const (
	initAverage = "AVERAGE_SOURCE_TASKS"
	initExact   = "EXACT_SOURCE_TASK"
	initShared  = "ONLY_SOURCE_SHARED"
)

func fromSource(cfg hfio.AdapterConfig) bool {
	return slices.Contains([]string{initAverage, initExact, initShared}, cfg.PromptTuningInit)
}

// checkMultitask knows what PEFT refuses, and refuses an init that PEFT would silently
// take for RANDOM. Source: peft 0.21.2, tuners/multitask_prompt_tuning.
func checkMultitask(cfg hfio.AdapterConfig, base *models.Model, init Init) []error {
	found := multitaskErrors(cfg)
	switch {
	case !fromSource(cfg):
		return append(found, checkPromptTuning(cfg, base, init)...)
	case cfg.PromptTuningInitStateDictPath == "":
		return append(found, promptTextErrors(cfg)...)
	}
	return append(append(found, promptTextErrors(cfg)...), sourceErrors(cfg, init)...)
}

// multitaskErrors is what PEFT refuses at creation and at loading, or cannot run.
func multitaskErrors(cfg hfio.AdapterConfig) []error {
	var found []error
	if cfg.TaskType == hfio.QuestionAns || cfg.TaskType == hfio.FeatureExtraction {
		found = append(found, fieldError("task_type", "%q, want %s or %s: PEFT's models of the others take no task ids",
			cfg.TaskType, hfio.SeqCls, hfio.TokenCls))
	}
	if cfg.NumTasks < 1 {
		found = append(found, fieldError("num_tasks", "%d, want at least 1", cfg.NumTasks))
	}
	if cfg.NumRanks < 1 {
		found = append(found, fieldError("num_ranks", "%d, want at least 1", cfg.NumRanks))
	}
	if one := cfg.PromptTuningInit == initAverage || cfg.PromptTuningInit == initExact; one && cfg.NumTasks != 1 {
		found = append(found, fieldError("num_tasks", "%d, want 1 with init %s", cfg.NumTasks, cfg.PromptTuningInit))
	}
	if fromSource(cfg) && cfg.PromptTuningInitStateDictPath == "" {
		found = append(found, fieldError("prompt_tuning_init_state_dict_path", "null, want the file that init %s starts from", cfg.PromptTuningInit))
	}
	return found
}

func noteMultitask(cfg hfio.AdapterConfig) []Finding {
	var found []Finding
	for _, err := range multitaskErrors(cfg) {
		found = append(found, errorFinding(err))
	}
	if fromSource(cfg) {
		return append(found, note("prompt_tuning_init_state_dict_path", "Python PEFT reads %q again whenever it loads the adapter", cfg.PromptTuningInitStateDictPath))
	}
	return append(found, notePromptTuning(cfg)...)
}

// tensorsOfMultitask is what the file holds beside the rows that are shared.
func tensorsOfMultitask(cfg hfio.AdapterConfig) []tensorShape {
	rows := cfg.NumVirtualTokens * cfg.NumTransformerSubmodules
	return []tensorShape{
		{taskColsName, []int{cfg.NumTasks, rows, cfg.NumRanks}},
		{taskRowsName, []int{cfg.NumTasks, cfg.NumRanks, cfg.TokenDim}},
	}
}

// newMultitask starts the shared rows as PROMPT_TUNING does and the tasks' matrices
// from N(0, 0.02²), or takes them of a source.
func newMultitask(cfg hfio.AdapterConfig, base *models.Model, init Init) (Adapter, error) {
	shared, err := newPromptTuning(cfg, base, init)
	if err != nil {
		return nil, err
	}
	values := map[string][]float32{promptName: kernel.Data(shared.(*PromptTuning).Embedding)}
	for _, t := range tensorsOfMultitask(cfg) {
		values[t.name] = normal(init.Rand, t.size())
		for i := range values[t.name] {
			values[t.name][i] *= 0.02
		}
	}
	if fromSource(cfg) {
		if err := fillFromSource(values, cfg, init.Source); err != nil {
			return nil, err
		}
	}
	return newTasks(cfg, values), nil
}

func restoreMultitask(cfg hfio.AdapterConfig, _ *models.Model, file *hfio.Adapter, _ *encoderTensors) (Adapter, error) {
	if err := errors.Join(multitaskErrors(cfg)...); err != nil {
		return nil, err
	}
	values := map[string][]float32{}
	for _, name := range []string{promptName, taskColsName, taskRowsName} {
		floats, err := readTensor(file, name)
		if err != nil {
			return nil, err
		}
		values[name] = floats
	}
	return newTasks(cfg, values), nil
}

// newTasks makes the adapter of its values, by their names in a file.
func newTasks(cfg hfio.AdapterConfig, values map[string][]float32) *Multitask {
	param := func(name string, columns int) *nn.Param {
		return kernel.NewParam(len(values[name])/columns, columns, values[name])
	}
	return &Multitask{
		Embedding: param(promptName, cfg.TokenDim), Cols: param(taskColsName, cfg.NumRanks), Rows: param(taskRowsName, cfg.TokenDim),
		config: cfg,
	}
}

// Prompt returns the rows of the first task, [P, d].
func (a *Multitask) Prompt(dropout *layer.Dropout, pool *models.Pool) (*models.Prompt, error) {
	prompts, err := a.Prompts([]int{0}, dropout, pool)
	if err != nil {
		return nil, err
	}
	return prompts[0], nil
}

// Prompts returns the rows of each of some different tasks, [P, d], and the decoder's.
func (a *Multitask) Prompts(tasks []int, _ *layer.Dropout, pool *models.Pool) ([]*models.Prompt, error) {
	all := kernel.TaskPrompts(kernel.WithPool(a.Embedding, pool), a.Cols, a.Rows, tasks)
	rows := kernel.Rows(a.Embedding)
	prompts := make([]*models.Prompt, len(tasks))
	for i := range prompts {
		first, decoder, end := i*rows, i*rows+min(rows, a.config.NumVirtualTokens), (i+1)*rows
		prompts[i] = &models.Prompt{Input: kernel.Gather(all, numbers(first, decoder))}
		if decoder < end {
			prompts[i].DecoderInput = kernel.Gather(all, numbers(decoder, end))
		}
	}
	return prompts, nil
}

// Config returns the config with every size filled in.
func (a *Multitask) Config() hfio.AdapterConfig { return a.config }

// Stored returns the shared rows, [P, d], which are no prompt by themselves, and the
// tasks' matrices, [N, P, r] and [N, r, d].
func (a *Multitask) Stored() ([]hfio.Tensor, error) {
	more := tensorsOfMultitask(a.config)
	return append(
		storedPrompt(a.Embedding),
		hfio.NewFloat32(taskColsName, more[0].shape, kernel.Data(a.Cols)),
		hfio.NewFloat32(taskRowsName, more[1].shape, kernel.Data(a.Rows)),
	), nil
}

// Trained returns embedding.weight, prefix_task_cols and prefix_task_rows.
func (a *Multitask) Trained() []models.NamedParam {
	return []models.NamedParam{{Name: embeddingName, Param: a.Embedding}, {Name: taskColsName, Param: a.Cols}, {Name: taskRowsName, Param: a.Rows}}
}

// Continuable is true: PEFT keeps all of the method.
func (a *Multitask) Continuable() bool { return true }

// sourceErrors checks the adapter that a new one starts from.
func sourceErrors(cfg hfio.AdapterConfig, init Init) []error {
	var found []error
	for _, want := range sourceShapes(cfg) {
		stored, ok := findTensor(init.Source, want.name)
		switch {
		case !ok:
			found = append(found, fmt.Errorf("%w: prompt_tuning_init_state_dict_path: no tensor %q", ErrConfig, want.name))
		case !want.fits(stored.Shape):
			found = append(found, fmt.Errorf("%w: prompt_tuning_init_state_dict_path: tensor %q has shape %v, want %v (0: any)", ErrConfig, want.name, stored.Shape, want.shape))
		case cfg.PromptTuningInit == initExact && want.name == taskColsName && (cfg.PromptTuningInitTask < 0 || cfg.PromptTuningInitTask >= stored.Shape[0]):
			found = append(found, fieldError("prompt_tuning_init_task", "%d, want a task of %s, 0 to %d", cfg.PromptTuningInitTask, want.name, stored.Shape[0]-1))
		}
	}
	return found
}

// sourceShapes lists what is taken of a source; a source has any number of tasks, 0.
func sourceShapes(cfg hfio.AdapterConfig) []tensorShape {
	shapes := []tensorShape{{promptName, []int{cfg.NumVirtualTokens * cfg.NumTransformerSubmodules, cfg.TokenDim}}}
	if cfg.PromptTuningInit == initShared {
		return shapes
	}
	cfg.NumTasks = 0
	return append(shapes, tensorsOfMultitask(cfg)...)
}

// fillFromSource takes the shared rows of a checked source, and of its tasks' matrices
// the mean or those of one task.
func fillFromSource(values map[string][]float32, cfg hfio.AdapterConfig, source []hfio.Tensor) error {
	for _, want := range sourceShapes(cfg) {
		t, _ := findTensor(source, want.name)
		floats, err := t.Float32s()
		if err != nil {
			return err
		}
		to := values[want.name]
		switch {
		case want.name == promptName:
			copy(to, floats)
		case cfg.PromptTuningInit == initExact:
			copy(to, floats[cfg.PromptTuningInitTask*len(to):])
		default:
			meanOfTasks(to, floats)
		}
	}
	return nil
}

func meanOfTasks(mean, values []float32) {
	tasks := len(values) / len(mean)
	for i := range mean {
		var sum float32
		for task := range tasks {
			sum += values[task*len(mean)+i]
		}
		mean[i] = sum / float32(tasks)
	}
}
