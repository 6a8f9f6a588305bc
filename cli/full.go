package cli

import (
	"io/fs"

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
	if model.Task != models.SeqCls && model.Task != models.TokenCls && model.Task != models.QuestionAns {
		return nil, reading{}, usagef("eval: --adapter is missing: the head of %s is for %s", baseName(c), model.Task)
	}
	from := reading{task: model.Task, problemType: model.ProblemType, labels: model.Labels, maxLength: base.Shape().MaxPositions}
	if from.problemType == "" && from.task == models.SeqCls {
		from.problemType = models.SingleLabel
	}
	return func(features []train.Feature) (train.Evaluation, error) {
		return train.EvaluateBase(c.Context, model, features, c.Int("batch-size"))
	}, from, nil
}
