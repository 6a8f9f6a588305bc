package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/template"
	"github.com/gopeft/gopeft/train"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:      "eval",
		Usage:     "measure an adapter, or a base alone, on a data file",
		ArgsUsage: " ",
		Description: `Prints the loss and the metrics of the task: accuracy, F1 and Matthews' correlation of labels, mean squares and Pearson's correlation of a regression, F1
of entities, exact match and F1 of answers, perplexity and accuracy of the next token of a language model, the first token of a text not counted. --data is read as by gopeft train, with the columns that
the adapter was trained with.

Example:
   gopeft eval --base all-MiniLM-L6-v2 --adapter my-adapter --data test.tsv`,
		Flags: append([]cli.Flag{
			baseFlag(),
			dtypeFlag(),
			&cli.StringFlag{Name: "adapter", Usage: "the adapter's directory; none: the base of --base with its own head, or with --template"},
			templateFlag(),
			verbalizerFlag(),
			&cli.StringFlag{Name: "data", Usage: "the data file", Required: true},
			&cli.IntFlag{Name: "batch-size", Usage: "sequences computed at once", Value: 32},
			&cli.BoolFlag{Name: "generate", Usage: "of a language model: write, too, with the settings of gopeft generate, and compare with the targets: BLEU, ROUGE, exact match"},
			separatorFlag("what stands between a text and its target", "as the adapter was trained, which one of PEFT does not say; without --adapter a line break"),
			jsonFlag("print one JSON object"),
		}, append(dataFlags(), generationFlags()...)...),
		Action: runEval,
	}
}

func runEval(c *cli.Context) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	for _, flag := range generationFlags() {
		if name := flag.Names()[0]; c.IsSet(name) && !c.Bool("generate") {
			return usagef("--%s: needs --generate", name)
		}
	}
	base, err := openBase(c, baseName(c))
	if err != nil {
		return err
	}
	defer base.Close()
	warnUnfinished(c)
	evaluate, from, err := openMeasured(c, base)
	if err != nil {
		return err
	}
	if err := checkSeparator(c, from.task); err != nil {
		return err
	}
	features, data, err := readFeatures(c, c.String("data"), base, from)
	if err != nil {
		return err
	}
	var write func() (map[string]float64, error)
	if c.Bool("generate") {
		if write, err = prepareWriting(c, base, data, from); err != nil {
			return err
		}
	}
	start := time.Now()
	result, err := evaluate(features)
	if err != nil {
		return err
	}
	if write != nil {
		written, err := write()
		if err != nil {
			return err
		}
		maps.Copy(result.Metrics, written)
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

// reading is how data are read for what is measured.
type reading struct {
	task        models.Task
	problemType string
	labels      []string
	method      hfio.PeftType
	columns     map[string]string
	maxLength   int
	template    *template.Encoder // nil: none
	writing     train.Writing     // of language models
}

type evaluation func([]train.Feature) (train.Evaluation, error)

// openMeasured opens the adapter, or the base alone with a template written by hand.
func openMeasured(c *cli.Context, base *predict.Base) (evaluation, reading, error) {
	switch {
	case c.String("adapter") != "" && (c.IsSet("template") || c.IsSet("verbalizer")):
		return nil, reading{}, usagef("--template and --verbalizer: the adapter of --adapter has its own, want one of the two options")
	case c.String("adapter") == "" && c.IsSet("verbalizer") && !c.IsSet("template"):
		return nil, reading{}, usagef("--verbalizer: needs --template")
	case c.String("adapter") == "" && !c.IsSet("template") && !c.IsSet("base"):
		return nil, reading{}, usagef("eval: --adapter is missing; see gopeft eval --help")
	case c.String("adapter") == "" && !c.IsSet("template"):
		return openAlone(c, base)
	case c.String("adapter") == "":
		return openTemplate(c, base)
	}
	tuned, err := openTuned(base, c.String("adapter"))
	if err != nil {
		return nil, reading{}, err
	}
	if err := checkBase(c, tuned); err != nil {
		return nil, reading{}, err
	}
	from, err := readingOf(c, base, tuned)
	return func(features []train.Feature) (train.Evaluation, error) {
		return train.Evaluate(c.Context, tuned, features, c.Int("batch-size"))
	}, from, err
}

// readingOf reads with the labels and the length that the adapter was trained with.
func readingOf(c *cli.Context, base *predict.Base, m *adapters.PeftModel) (reading, error) {
	from := reading{
		task: m.Base.Task, problemType: m.Info.ProblemType, labels: m.Info.Labels, method: m.Config.PeftType,
		columns: m.Info.Columns, maxLength: cmp.Or(m.Info.MaxLength, maxLength(base.Shape(), m)),
	}
	var err error
	from.template, err = base.TemplateOf(m.Info)
	if len(from.labels) == 0 && from.template == nil {
		from.labels, from.problemType = m.Base.Labels, m.Base.ProblemType
	}
	if err != nil || !train.IsWriting(from.task) {
		return from, err
	}
	tokenizer, err := tokenizerOf(c, base)
	if err != nil {
		return from, err
	}
	from.writing, err = writingOf(base.Files(), tokenizer, m.Base, m.InputRows() > 0, separatorOr(c, m.Info.Separator))
	return from, err
}

// readFeatures reads a data file; its columns are those of the training data where the command
// line names none and the file has them.
func readFeatures(c *cli.Context, path string, base *predict.Base, from reading) ([]train.Feature, *train.Data, error) {
	opts, err := dataOptions(c, from.task, from.problemType, from.labels, from.method)
	if err != nil {
		return nil, nil, err
	}
	if from.template != nil {
		opts.Fields = from.template.Template().Fields()
	}
	data, err := readWithColumns(path, opts, from.columns)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintln(c.App.ErrWriter, describeData(path, data))
	if err := checkCut(c, path, data); err != nil {
		return nil, nil, err
	}
	tokenizer, err := tokenizerOf(c, base)
	if err != nil {
		return nil, nil, err
	}
	features, err := train.Encode(tokenizer, data.Examples, train.EncodeOptions{
		Task: from.task, ProblemType: from.problemType, Labels: from.labels, MaxLength: from.maxLength, Template: from.template, Writing: from.writing,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return features, data, nil
}

func readWithColumns(path string, opts *train.DataOptions, columns map[string]string) (*train.Data, error) {
	if len(opts.Columns) == 0 && len(columns) > 0 {
		same := *opts
		same.Columns = columns
		if data, err := readData(path, &same); err == nil {
			return data, nil
		}
	}
	return readData(path, opts)
}
