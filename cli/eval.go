package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/train"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:      "eval",
		Usage:     "measure an adapter on labelled data",
		ArgsUsage: " ",
		Flags: append([]cli.Flag{
			baseFlag(),
			dtypeFlag(),
			&cli.StringFlag{Name: "adapter", Usage: "the adapter's directory", Required: true},
			&cli.StringFlag{Name: "data", Usage: "the data file", Required: true},
			&cli.IntFlag{Name: "batch-size", Usage: "sequences computed at once", Value: 32},
			jsonFlag("print one JSON object"),
		}, dataFlags()...),
		Action: runEval,
	}
}

func runEval(c *cli.Context) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	base, err := openBase(c, baseName(c))
	if err != nil {
		return err
	}
	defer base.Close()
	tuned, err := openTuned(base, c.String("adapter"))
	if err != nil {
		return err
	}
	if err := checkBase(c, tuned); err != nil {
		return err
	}
	features, _, err := readFeatures(c, c.String("data"), base, tuned)
	if err != nil {
		return err
	}
	start := time.Now()
	result, err := train.Evaluate(c.Context, tuned, features, c.Int("batch-size"))
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if c.Bool("json") {
		return printJSON(c.App.Writer, map[string]any{
			"loss": result.Loss, "examples": result.Examples, "metrics": result.Metrics, "seconds": seconds,
		})
	}
	t := newTable(c.App.Writer)
	t.row("examples", fmt.Sprint(result.Examples))
	t.row("loss", fmt.Sprintf("%.4f", result.Loss))
	for _, name := range slices.Sorted(maps.Keys(result.Metrics)) {
		t.row(name, fmt.Sprintf("%.4f", result.Metrics[name]))
	}
	t.row("seconds", fmt.Sprintf("%.1f", seconds))
	return t.flush()
}

// openTuned loads an adapter to be measured.
func openTuned(base *predict.Base, dir string) (*adapters.PeftModel, error) {
	file, err := openAdapter(dir)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	model, err := base.ModelFor(file)
	if err != nil {
		return nil, err
	}
	return adapters.FromFile(file, model)
}

// otherBase is what to know of an adapter on a base with other weights.
const otherBase = "was trained on a base with other weights (see gopeft.json)"

func warnOtherBase(c *cli.Context, dir string) {
	fmt.Fprintf(c.App.ErrWriter, "gopeft: warning: %s %s\n", dir, otherBase)
}

// checkBase warns of an adapter that was trained on another base.
func checkBase(c *cli.Context, m *adapters.PeftModel) error {
	isOther, err := predict.IsOtherBase(m.Info, m.Base.Backbone)
	if err == nil && isOther {
		warnOtherBase(c, c.String("adapter"))
	}
	return err
}

// readFeatures reads a data file with the labels and the length that the adapter was
// trained with, and its columns where the command line names none and the file has them.
func readFeatures(c *cli.Context, path string, base *predict.Base, m *adapters.PeftModel) ([]train.Feature, *train.Data, error) {
	task, labels := m.Base.Task, m.Info.Labels
	problemType := m.Info.ProblemType
	if len(labels) == 0 {
		labels, problemType = m.Base.Labels, m.Base.ProblemType
	}
	opts, err := dataOptions(c, task, problemType, labels, m.Config.PeftType)
	if err != nil {
		return nil, nil, err
	}
	data, err := readWithColumns(path, opts, m.Info.Columns)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintln(c.App.ErrWriter, describeData(path, data))
	tokenizer, err := base.Tokenizer()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", baseName(c), err)
	}
	features, err := train.Encode(tokenizer, data.Examples, train.EncodeOptions{
		Task: task, ProblemType: problemType, Labels: labels, MaxLength: cmp.Or(m.Info.MaxLength, maxLength(base.Shape(), m)),
	})
	return features, data, err
}

func readWithColumns(path string, opts *train.DataOptions, columns map[string]string) (*train.Data, error) {
	if len(opts.Columns) == 0 && len(columns) > 0 {
		same := *opts
		same.Columns = columns
		if data, err := train.ReadFile(path, &same); err == nil {
			return data, nil
		}
	}
	return train.ReadFile(path, opts)
}
