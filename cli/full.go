package cli

import (
	"io/fs"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/train"
)

const fullFlag = "full"

// checkFull reports options that do not go with training the whole model.
func checkFull(c *cli.Context) error {
	if !c.Bool(fullFlag) {
		return nil
	}
	for _, name := range []string{"peft-type", "adapter", "head-only", "checkpointing", "base-model-name-or-path", "template"} {
		if c.IsSet(name) {
			return usagef("--%s: not with --%s, which trains all weights of the base and no adapter", name, fullFlag)
		}
	}
	if dtype := c.String("dtype"); dtypes[dtype] != dtypes[""] {
		return usagef("--dtype: found %q, want fp32 with --%s", dtype, fullFlag)
	}
	return nil
}

// newWhole makes what trains all weights of a model, and is saved with the base's tokenizer.
func newWhole(base *auto.Base, model *models.Model, files fs.FS) (*train.Whole, error) {
	config, err := base.TrainedConfig(model)
	if err != nil {
		return nil, err
	}
	tokenizer, err := tokenizerFiles(files)
	if err != nil {
		return nil, err
	}
	return &train.Whole{Model: model, Config: config, Files: tokenizer}, nil
}

// openAlone opens the base alone with the head that it has.
func openAlone(c *cli.Context, base *predict.Base) (evaluation, reading, error) {
	model, err := base.Model()
	if err != nil {
		return nil, reading{}, err
	}
	if measured := []models.Task{models.SeqCls, models.TokenCls, models.QuestionAns, models.CausalLM, models.Seq2SeqLM}; !slices.Contains(measured, model.Task) {
		return nil, reading{}, usagef("eval: --adapter is missing: the head of %s is for %s", baseName(c), model.Task)
	}
	from := reading{task: model.Task, problemType: model.ProblemType, labels: model.Labels, maxLength: base.Shape().MaxPositions}
	if from.problemType == "" && from.task == models.SeqCls {
		from.problemType = models.SingleLabel
	}
	if train.IsWriting(from.task) {
		from.writing, err = writingAlone(c, base, model)
	}
	return func(features []train.Feature) (train.Evaluation, error) {
		return train.EvaluateBase(c.Context, model, features, c.Int("batch-size"))
	}, from, err
}

// writingAlone says how a language model without an adapter reads texts with targets.
func writingAlone(c *cli.Context, base *predict.Base, model *models.Model) (train.Writing, error) {
	tokenizer, err := tokenizerOf(c, base)
	if err != nil {
		return train.Writing{}, err
	}
	return writingOf(base.Files(), tokenizer, model, false, separatorOr(c, defaultSeparator))
}
