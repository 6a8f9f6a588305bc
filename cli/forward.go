package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
)

func forwardCommand() *cli.Command {
	return &cli.Command{
		Name:      "forward",
		Usage:     "print what the model returns for token ids",
		ArgsUsage: " ",
		Description: `Reads {"input_ids": [...]} a line, with optional token_type_ids, task_ids, decoder_input_ids, labels, start_positions and end_positions, and prints,
for each, what PEFT's model returns for a batch of that one unpadded sequence in evaluation, under transformers' names and
in its shapes: logits, start_logits, end_logits, last_hidden_state, and loss where labels were given. With prompt tuning
the rows of the virtual tokens come first.`,
		Flags: []cli.Flag{
			baseFlag(),
			dtypeFlag(),
			&cli.StringFlag{Name: "adapter", Usage: "an adapter directory (default: the base alone)"},
			&cli.StringFlag{Name: "input", Usage: "a JSONL file", Value: "-", DefaultText: "standard input"},
			&cli.StringFlag{Name: "task-type", Usage: "of the base alone: SEQ_CLS, TOKEN_CLS, QUESTION_ANS, FEATURE_EXTRACTION or MASKED_LM (default: by config.json)"},
		},
		Action: runForward,
	}
}

func runForward(c *cli.Context) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	base, predictor, err := openPredictor(c)
	if err != nil {
		return err
	}
	defer base.Close()
	return eachInputLine(c, c.String("input"), true, func(_ int, line []byte) error {
		var in predict.TokenInput
		if err := parseJSON(line, &in, `{"input_ids": [...]}, with whole numbers`); err != nil {
			return err
		}
		out, err := predictor.Forward(in)
		if err != nil {
			return err
		}
		return printJSON(c.App.Writer, out)
	})
}

func onAdapter(base *predict.Base, path string) (*predict.Predictor, error) {
	dir, err := openDir(path)
	if err != nil {
		return nil, err
	}
	return base.Adapter(dir)
}

// openPredictor opens --base, with --adapter on it where that is given.
func openPredictor(c *cli.Context) (*predict.Base, *predict.Predictor, error) {
	base, err := openBase(c, baseName(c))
	if err != nil {
		return nil, nil, err
	}
	var predictor *predict.Predictor
	if adapter := c.String("adapter"); adapter != "" {
		predictor, err = onAdapter(base, adapter)
	} else {
		predictor, err = base.Alone(models.Task(enum(c.String("task-type"))))
	}
	if err != nil {
		_ = base.Close()
		return nil, nil, err
	}
	if predictor.OtherBase {
		warnOtherBase(c, c.String("adapter"))
	}
	return base, predictor, nil
}
