package cli

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/train"
)

func trainCommand() *cli.Command {
	return &cli.Command{
		Name:      "train",
		Usage:     "train an adapter on labelled text",
		ArgsUsage: " ",
		Description: `Trains a soft prompt, and the head of the task, for a frozen base model and writes a PEFT adapter directory. With --dev the best adapter
is kept, else the last. Interrupted with Ctrl-C or killed, a run goes on with --resume and ends with the same bytes.

The learning rate and the start of the prompt matter most. The defaults per method, chosen by PEFT's own benchmark and runs on
MiniLM-L6 (see the documentation of train.Defaults):
` + defaultsTable() + `
Example:
   gopeft train --base all-MiniLM-L6-v2 --data train.tsv --dev dev.tsv --peft-type PREFIX_TUNING --output my-adapter`,
		Flags:  trainFlags(),
		Action: runTrain,
	}
}

func defaultsTable() string {
	text := ""
	for _, method := range adapters.Methods() {
		r := train.Defaults(method)
		start := "N(0, 1)"
		if r.PromptTuningInit != "" {
			start = r.PromptTuningInit
		}
		text += fmt.Sprintf("   %-14s  learning rate %g, start %s, %d virtual tokens, batch %d\n", method, r.LearningRate, start, r.VirtualTokens, r.BatchSize)
	}
	return text
}

func trainFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: runFileFlag, Usage: "a YAML file with these options as keys; the command line wins"},
		baseFlag(),
		&cli.StringFlag{Name: "data", Usage: "the training file", Required: true},
		&cli.StringFlag{Name: "dev", Usage: "a file to measure on"},
		&cli.StringFlag{Name: "output", Usage: "the adapter's directory", Required: true},
		&cli.BoolFlag{Name: "resume", Usage: "go on with the run in --output"},
		&cli.StringFlag{Name: "adapter", Usage: "start from this adapter, with its method, sizes, task and labels, instead of a new one"},
		&cli.StringFlag{Name: "peft-type", Usage: "PROMPT_TUNING, P_TUNING or PREFIX_TUNING", Value: string(hfio.PrefixTuning)},
		&cli.StringFlag{Name: "task-type", Usage: "SEQ_CLS, TOKEN_CLS or QUESTION_ANS", Value: string(models.SeqCls)},
		&cli.StringFlag{Name: "problem-type", Usage: "of SEQ_CLS: single_label_classification, multi_label_classification or regression", DefaultText: "single label"},
		&cli.StringFlag{Name: "labels", Usage: "the label names in order, separated with commas", DefaultText: "those of the data"},

		&cli.IntFlag{Name: "num-virtual-tokens", DefaultText: "20"},
		&cli.StringFlag{Name: "prompt-tuning-init", Usage: "RANDOM, TEXT or SAMPLE_VOCAB", DefaultText: "by the method"},
		&cli.StringFlag{Name: "prompt-tuning-init-text", Usage: "the text of TEXT"},
		&cli.StringFlag{Name: "encoder-reparameterization-type", Usage: "of P_TUNING: MLP or LSTM", DefaultText: "MLP"},
		&cli.IntFlag{Name: "encoder-hidden-size", Usage: "of P_TUNING's encoder and the prefix projection", DefaultText: "token dim"},
		&cli.IntFlag{Name: "encoder-num-layers", Usage: "of P_TUNING's LSTM", DefaultText: "2"},
		&cli.Float64Flag{Name: "encoder-dropout", Usage: "of P_TUNING's LSTM"},
		&cli.BoolFlag{Name: "prefix-projection", Usage: "make the prefix with an MLP"},
		&cli.StringFlag{Name: "init-weights", Usage: "of a prefix: zero", DefaultText: "N(0, 1)"},
		&cli.StringFlag{Name: "base-model-name-or-path", Usage: "the base's name in adapter_config.json", DefaultText: "--base"},

		&cli.Float64Flag{Name: "learning-rate", DefaultText: "by the method"},
		&cli.IntFlag{Name: "num-train-epochs", DefaultText: "3, unless --max-steps is given"},
		&cli.IntFlag{Name: "max-steps", Usage: "stop after so many steps"},
		&cli.IntFlag{Name: "batch-size", Usage: "examples", DefaultText: "32"},
		&cli.IntFlag{Name: "batch-tokens", Usage: "at most so many tokens in a batch, instead of --batch-size"},
		&cli.IntFlag{Name: "gradient-accumulation-steps", DefaultText: "1"},
		&cli.StringFlag{Name: "lr-scheduler-type", Usage: "linear, cosine or constant", DefaultText: "linear"},
		&cli.Float64Flag{Name: "warmup-ratio", Usage: "share of the steps; negative: none", DefaultText: "0.06"},
		&cli.Float64Flag{Name: "weight-decay"},
		&cli.Float64Flag{Name: "max-grad-norm", Usage: "negative: no clipping", DefaultText: "1"},
		&cli.IntFlag{Name: "max-length", Usage: "tokens of a text, special tokens included", DefaultText: "what the base has room for"},
		&cli.Uint64Flag{Name: "seed", Value: 42},

		&cli.IntFlag{Name: "eval-steps", DefaultText: "after each epoch"},
		&cli.StringFlag{Name: "metric", Usage: "that decides which adapter is the best", DefaultText: "by the task"},
		&cli.IntFlag{Name: "early-stopping-patience", Usage: "stop after so many evaluations without a better one", DefaultText: "never"},
		&cli.IntFlag{Name: "save-steps", Usage: "steps between checkpoints", DefaultText: "at evaluations"},

		jsonFlag("print events as JSON, one a line"),
		&cli.StringFlag{Name: "plot", Usage: "write the training curve to this .png or .svg file"},
		&cli.StringFlag{Name: "tensorboard", Usage: "write TensorBoard events into this directory"},
	}, dataFlags()...)
}

func runTrain(c *cli.Context) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	resume, err := resumes(c)
	if err != nil {
		return err
	}
	job, err := newTraining(c)
	if err != nil {
		return err
	}
	defer job.base.Close()
	reports, err := openReports(c)
	if err != nil {
		return err
	}
	progress := newProgress(c.App.ErrWriter, c.App.Writer, c.Bool("json"))
	config := trainConfig(c)
	config.Resume = resume
	config.OnEvent = func(e train.Event) {
		progress.event(e)
		reports.event(e)
	}
	summary, err := train.Run(c.Context, job.model, job.data, config)
	progress.finish()
	if err = errors.Join(err, reports.close()); err != nil {
		if errors.Is(err, c.Context.Err()) && c.Context.Err() != nil {
			return fmt.Errorf("%w; the state is saved: go on with --resume", err)
		}
		return err
	}
	return printSummary(c, summary)
}

// resumes tells whether the run goes on with one in --output. Without --resume an
// adapter there is not replaced; with it, a run that was killed before its first
// checkpoint begins anew.
func resumes(c *cli.Context) (bool, error) {
	dir := c.String("output")
	_, err := os.Stat(filepath.Join(dir, hfio.AdapterConfigFile))
	there := err == nil
	if there && !c.Bool("resume") {
		return false, fmt.Errorf("%s holds an adapter already: go on with it with --resume, or choose another --output", dir)
	}
	if !there && c.Bool("resume") {
		fmt.Fprintf(c.App.ErrWriter, "%s holds no checkpoint: beginning anew\n", dir)
	}
	return there, nil
}

// training is what a run needs.
type training struct {
	base  *auto.Base
	model *adapters.PeftModel
	data  train.Dataset
}

func newTraining(c *cli.Context) (*training, error) {
	start, err := startingPoint(c)
	if err != nil {
		return nil, err
	}
	opts, err := dataOptions(c, start.task, start.problemType, start.labels)
	if err != nil {
		return nil, err
	}
	data, err := train.ReadFile(c.String("data"), opts)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(c.App.ErrWriter, describeData(c.String("data"), data))
	base, err := auto.Open(hfio.Dir(c.String("base")), nil)
	if err != nil {
		return nil, err
	}
	job := &training{base: base}
	if err := job.fill(c, start, data, opts); err != nil {
		return nil, errors.Join(err, base.Close())
	}
	return job, nil
}

// start is what a run begins with.
type start struct {
	task        models.Task
	problemType string
	labels      []string      // nil: those of the data
	adapter     *hfio.Adapter // nil: a new one
}

// startingPoint reads the task and the labels from the command line, or from the
// adapter to start from.
func startingPoint(c *cli.Context) (start, error) {
	s := start{task: models.Task(enum(c.String("task-type"))), problemType: c.String("problem-type")}
	if list := c.String("labels"); list != "" {
		s.labels = strings.Split(list, ",")
	}
	if dir := c.String("adapter"); dir != "" {
		file, err := hfio.OpenAdapter(hfio.Dir(dir), nil)
		if err != nil {
			return start{}, err
		}
		info := adapters.Info{}
		if file.Info != nil {
			if info, err = adapters.ParseInfo(file.Info); err != nil {
				return start{}, err
			}
		}
		s.adapter, s.task = file, models.Task(file.Config.TaskType)
		if s.labels == nil {
			s.labels = info.Labels
		}
		if s.problemType == "" {
			s.problemType = info.ProblemType
		}
	} else if method := hfio.PeftType(enum(c.String("peft-type"))); !slices.Contains(adapters.Methods(), method) {
		return start{}, usagef("--peft-type: found %q, want one of %v", c.String("peft-type"), adapters.Methods())
	}
	if s.task != models.SeqCls && s.task != models.TokenCls && s.task != models.QuestionAns {
		return start{}, usagef("--task-type: found %q, want SEQ_CLS, TOKEN_CLS or QUESTION_ANS", s.task)
	}
	if s.problemType == "" && s.task == models.SeqCls {
		s.problemType = models.SingleLabel
	}
	return s, nil
}

// fill makes the adapter and the features.
func (job *training) fill(c *cli.Context, from start, data *train.Data, opts *train.DataOptions) error {
	tokenizer, err := tokenize.Load(hfio.Dir(c.String("base")))
	if err != nil {
		return err
	}
	labels := data.Labels
	if from.problemType == models.Regression {
		labels = []string{"value"}
	}
	model, err := job.base.Model(models.HeadSpec{
		Task: from.task, Labels: labels, ProblemType: from.problemType, Rand: rand.New(rand.NewPCG(c.Uint64("seed"), 1)),
	})
	if err != nil {
		return err
	}
	if from.adapter != nil {
		job.model, err = adapters.FromFile(from.adapter, model)
	} else {
		job.model, err = newAdapter(c, model, tokenizer)
	}
	if err != nil {
		return err
	}
	info := &job.model.Info
	info.Task, info.ProblemType, info.Labels = from.task, from.problemType, labels
	info.Columns = data.Columns
	info.MaxLength = c.Int("max-length")
	if info.MaxLength == 0 {
		if positions := job.base.Shape().MaxPositions; positions > 0 {
			info.MaxLength = positions - job.model.Config.NumVirtualTokens
		}
	}
	encode := train.EncodeOptions{Task: from.task, ProblemType: from.problemType, Labels: labels, MaxLength: info.MaxLength}
	if job.data.Train, err = train.Encode(tokenizer, data.Examples, encode); err != nil {
		return fmt.Errorf("%s: %w", c.String("data"), err)
	}
	path := c.String("dev")
	if path == "" {
		return nil
	}
	opts.Labels = data.Labels
	dev, err := train.ReadFile(path, opts)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.ErrWriter, describeData(path, dev))
	if job.data.Dev, err = train.Encode(tokenizer, dev.Examples, encode); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// enum is how PEFT writes a name: prompt-tuning is PROMPT_TUNING.
func enum(name string) string { return strings.ReplaceAll(strings.ToUpper(name), "-", "_") }

func newAdapter(c *cli.Context, model *models.Model, tokenizer *tokenize.Tokenizer) (*adapters.PeftModel, error) {
	method := hfio.PeftType(enum(c.String("peft-type")))
	recipe := train.Defaults(method)
	config := hfio.NewAdapterConfig(method)
	config.TaskType = hfio.TaskType(model.Task)
	config.BaseModelNameOrPath = c.String("base-model-name-or-path")
	if config.BaseModelNameOrPath == "" {
		config.BaseModelNameOrPath = c.String("base")
	}
	config.NumVirtualTokens = c.Int("num-virtual-tokens")
	if config.NumVirtualTokens == 0 {
		config.NumVirtualTokens = recipe.VirtualTokens
	}
	set(&config.PromptTuningInit, recipe.PromptTuningInit, enum(c.String("prompt-tuning-init")))
	set(&config.InitWeights, recipe.InitWeights, c.String("init-weights"))
	set(&config.EncoderReparameterizationType, recipe.Reparameterize, enum(c.String("encoder-reparameterization-type")))
	config.EncoderHiddenSize = c.Int("encoder-hidden-size")
	if layers := c.Int("encoder-num-layers"); layers != 0 {
		config.EncoderNumLayers = layers
	}
	config.EncoderDropout = c.Float64("encoder-dropout")
	config.PrefixProjection = c.Bool("prefix-projection")
	init := adapters.Init{Rand: rand.New(rand.NewPCG(c.Uint64("seed"), 2))}
	if config.PromptTuningInit == "TEXT" {
		config.PromptTuningInitText = c.String("prompt-tuning-init-text")
		config.TokenizerNameOrPath = config.BaseModelNameOrPath
		encoding, err := tokenizer.Encode(config.PromptTuningInitText, nil)
		if err != nil {
			return nil, err
		}
		init.TextIDs = encoding.IDs
	}
	return adapters.New(model, config, init)
}

// set sets a field to the last of the values that is not empty.
func set(field *string, values ...string) {
	for _, value := range values {
		if value != "" {
			*field = value
		}
	}
}

func trainConfig(c *cli.Context) train.Config {
	return train.Config{
		Epochs: c.Int("num-train-epochs"), MaxSteps: c.Int("max-steps"),
		BatchSize: c.Int("batch-size"), BatchTokens: c.Int("batch-tokens"), Accumulate: c.Int("gradient-accumulation-steps"),
		LearningRate: c.Float64("learning-rate"), Schedule: train.Schedule(c.String("lr-scheduler-type")),
		WarmupRatio: c.Float64("warmup-ratio"), ClipNorm: c.Float64("max-grad-norm"), WeightDecay: c.Float64("weight-decay"),
		Seed:      c.Uint64("seed"),
		EvalSteps: c.Int("eval-steps"), Metric: c.String("metric"), Patience: c.Int("early-stopping-patience"),
		Dir: c.String("output"), SaveSteps: c.Int("save-steps"),
	}
}
