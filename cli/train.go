package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/train"
)

func trainCommand() *cli.Command {
	return &cli.Command{
		Name:      "train",
		Usage:     "train an adapter, or a whole model, on a file of texts",
		ArgsUsage: " ",
		Description: `Trains a soft prompt or LoRA, and the head of the task, for a frozen base model and writes a PEFT adapter directory. With --dev the best adapter
is kept, else the last. Interrupted with Ctrl-C or killed, a run goes on with --resume and ends with the same bytes.

--data has an example a line. Its columns are found by their names, or named with --column ROLE=COLUMN; what --task-type wants of them:
   SEQ_CLS       text, label, and pair where there are two texts
   TOKEN_CLS     words, tags; or a CoNLL file
   QUESTION_ANS  text (the question), pair (its context), answers, as in SQuAD
   CAUSAL_LM     text and target (a prompt and its completion), or messages (a chat), or text alone
   SEQ_2_SEQ_LM  text and target
With MULTITASK_PROMPT_TUNING there is also task, the number of each example's task, from 0.

The learning rate and the start of the prompt matter most. The defaults per method, chosen by PEFT's own benchmark and runs on
MiniLM-L6 and SmolLM2 (see docs/defaults.md):
` + defaultsTable() + `
On decoders batches have 8 examples, prefixes start at zero, and LORA's learning rate is 0.001; it is 0.005 for TOKEN_CLS
on other bases.

Example:
   gopeft train --base all-MiniLM-L6-v2 --data train.tsv --dev dev.tsv --peft-type PREFIX_TUNING --output my-adapter`,
		Flags:  trainFlags(),
		Action: runTrain,
	}
}

func defaultsTable() string {
	text := ""
	for _, method := range adapters.Methods() {
		kind := train.Encoder
		if method == hfio.CPT { // which no encoder has
			kind = train.Decoder
		}
		r := train.Defaults(method, kind)
		size := fmt.Sprintf("start %s, %d virtual tokens", cmp.Or(r.PromptTuningInit, "N(0, 1)"), r.VirtualTokens)
		switch method {
		case hfio.CPT:
			size = fmt.Sprintf("start: %d examples", r.ContextExamples)
		case hfio.Lora:
			size = fmt.Sprintf("rank %d, alpha %g", r.Rank, r.Alpha)
		}
		text += fmt.Sprintf("   %-23s  learning rate %g, %s, batch %d\n", method, r.LearningRate, size, r.BatchSize)
	}
	r := train.WholeDefaults()
	text += fmt.Sprintf("   %-23s  learning rate %g, batch %d\n", "--"+fullFlag, r.LearningRate, r.BatchSize)
	return text
}

func trainFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: runFileFlag, Usage: "a YAML file with these options as keys; the command line wins"},
		presetFlag(),
		baseFlag(),
		dtypeFlag(),
		&cli.StringFlag{Name: "data", Usage: "the training file", Required: true},
		&cli.StringFlag{Name: "dev", Usage: "a file to measure on"},
		&cli.StringFlag{Name: "output", Usage: "the adapter's directory", Required: true},
		&cli.BoolFlag{Name: fullFlag, Usage: "full fine-tuning: train all weights of the base instead of an adapter; --output becomes a model of transformers, for --base"},
		&cli.BoolFlag{Name: "resume", Usage: "go on with the run in --output, with the options that it began with"},
		&cli.StringFlag{Name: "adapter", Usage: "start from this adapter, with its method, sizes, task and labels, instead of a new one"},
		&cli.StringFlag{Name: "peft-type", Usage: fmt.Sprintf("one of %v", adapters.Methods()), Value: string(hfio.PrefixTuning)},
		&cli.StringFlag{Name: "task-type", Usage: "SEQ_CLS, TOKEN_CLS, QUESTION_ANS, CAUSAL_LM or SEQ_2_SEQ_LM", Value: string(models.SeqCls)},
		&cli.StringFlag{Name: "problem-type", Usage: "of SEQ_CLS: single_label_classification, multi_label_classification or regression", DefaultText: "single label"},
		separatorFlag("what stands between a text and its target; generate puts it there, too", "a line break"),
		&cli.StringFlag{Name: "labels", Usage: "the label names in order, separated with commas", DefaultText: "those of the data"},

		templateFlag(),
		verbalizerFlag(),
		&cli.IntFlag{Name: "num-virtual-tokens", Usage: "trained tokens before a text, or keys and values in every layer", DefaultText: "20"},
		&cli.StringFlag{Name: "prompt-tuning-init", Usage: "RANDOM, TEXT or SAMPLE_VOCAB; of several tasks also AVERAGE_SOURCE_TASKS, EXACT_SOURCE_TASK or ONLY_SOURCE_SHARED", DefaultText: "by the method"},
		&cli.StringFlag{Name: "prompt-tuning-init-text", Usage: "the text of TEXT"},
		&cli.IntFlag{Name: "num-tasks", Usage: "of MULTITASK_PROMPT_TUNING", DefaultText: "those of the data's task column"},
		&cli.IntFlag{Name: "num-ranks", Usage: "of the matrix of each task", DefaultText: "1"},
		&cli.StringFlag{Name: "prompt-tuning-init-state-dict-path", Usage: "the adapter_model.safetensors (or .bin) that the three source inits start from"},
		&cli.IntFlag{Name: "prompt-tuning-init-task", Usage: "the task of EXACT_SOURCE_TASK"},
		&cli.StringFlag{Name: "encoder-reparameterization-type", Usage: "of P_TUNING: MLP or LSTM", DefaultText: "MLP"},
		&cli.IntFlag{Name: "encoder-hidden-size", Usage: "of P_TUNING's encoder and the prefix projection", DefaultText: "token dim"},
		&cli.IntFlag{Name: "encoder-num-layers", Usage: "of P_TUNING's LSTM", DefaultText: "2"},
		&cli.Float64Flag{Name: "encoder-dropout", Usage: "of P_TUNING's LSTM"},
		&cli.BoolFlag{Name: "prefix-projection", Usage: "make the prefix with an MLP"},
		&cli.StringFlag{Name: "init-weights", Usage: "of a prefix: zero, or normal, which is N(0, 1), as PEFT's null", DefaultText: "normal, zero on decoders"},
		&cli.IntFlag{Name: "num-frozen-tokens", Usage: "of CARTRIDGE: so many tokens stay as they begin", DefaultText: "1"},
		&cli.IntFlag{Name: "context-examples", Usage: "of CPT: the first examples of the data, whose tokens are the virtual ones", DefaultText: "4"},
		&cli.StringFlag{Name: "opt-weighted-loss-type", Usage: "of CPT: decay makes the labels of earlier examples count less", DefaultText: "none"},
		&cli.Float64Flag{Name: "opt-loss-decay-factor", Usage: "of decay: from one example to the one before it", DefaultText: "1"},
		&cli.Float64Flag{Name: "opt-projection-epsilon", Usage: "of CPT: how far a token of a text may move", DefaultText: "0.1"},
		&cli.Float64Flag{Name: "opt-projection-format-epsilon", Usage: "of CPT: how far a separator or a special token may move", DefaultText: "0.1"},
		&cli.IntFlag{Name: "r", Usage: "of LORA: the rank", DefaultText: "8"},
		&cli.Float64Flag{Name: "lora-alpha", Usage: "of LORA: what is added counts alpha/r times", DefaultText: "16"},
		&cli.Float64Flag{Name: "lora-dropout", Usage: "of LORA's input"},
		&cli.BoolFlag{Name: "use-rslora", Usage: "of LORA: alpha/sqrt(r) instead of alpha/r"},
		&cli.StringFlag{Name: "target-modules", Usage: "of LORA: names of linear layers, separated with commas, a regular expression for their paths, or all-linear", DefaultText: "PEFT's for the base, as query and value"},
		&cli.StringFlag{Name: "init-lora-weights", Usage: "of LORA: true, false or gaussian", DefaultText: "true"},
		&cli.StringFlag{Name: "bias", Usage: "of LORA: which biases of the base are trained: none, all or lora_only, those of the layers that LORA adds to", DefaultText: "none"},
		&cli.BoolFlag{Name: "lora-bias", Usage: "of LORA: what is added has a bias of its own"},
		&cli.BoolFlag{Name: "use-dora", Usage: "of LORA: DoRA, which learns the lengths of the weights' rows, too"},
		&cli.StringFlag{Name: "modules-to-save", Usage: "the head's modules that are trained and saved beside those that PEFT trains by itself (classifier, score, qa_outputs), separated with commas", DefaultText: "all of the head"},
		&cli.StringFlag{Name: "base-model-name-or-path", Usage: "the base's name in adapter_config.json", DefaultText: "--base"},

		&cli.Float64Flag{Name: "learning-rate", Usage: "the highest one", DefaultText: "by the method"},
		&cli.IntFlag{Name: "num-train-epochs", Usage: "passes over the data", DefaultText: "3, unless --max-steps is given"},
		&cli.IntFlag{Name: "max-steps", Usage: "stop after so many steps", DefaultText: "no limit"},
		&cli.IntFlag{Name: "batch-size", Usage: "examples in a batch", DefaultText: "32, on decoders 8"},
		&cli.IntFlag{Name: "batch-tokens", Usage: "at most so many tokens in a batch, instead of --batch-size", DefaultText: "no limit"},
		&cli.IntFlag{Name: "gradient-accumulation-steps", Usage: "batches whose gradients one step takes", DefaultText: "1"},
		&cli.StringFlag{Name: "lr-scheduler-type", Usage: "linear, cosine or constant", DefaultText: "linear"},
		&cli.Float64Flag{Name: "warmup-ratio", Usage: "share of the steps; 0: none", DefaultText: "0.06"},
		&cli.Float64Flag{Name: "weight-decay", Usage: "of AdamW"},
		&cli.Float64Flag{Name: "max-grad-norm", Usage: "clip longer gradients; 0: no clipping", DefaultText: "1"},
		&cli.IntFlag{Name: "max-length", Usage: "tokens of a text, special tokens included", DefaultText: "what the base has room for"},
		&cli.Uint64Flag{Name: "seed", Usage: "of the start, the order of the examples and dropout", Value: 42},
		&cli.BoolFlag{Name: "head-only", Usage: "train the head alone and leave the adapter as it begins"},
		&cli.BoolFlag{Name: "checkpointing", Usage: "compute layers twice instead of keeping what the backward pass needs of them: less memory, more time, the same numbers; not with LORA"},

		&cli.IntFlag{Name: "eval-steps", Usage: "steps between evaluations on --dev", DefaultText: "after each epoch"},
		&cli.StringFlag{Name: "metric", Usage: "of --dev, that decides which adapter is the best: loss, or one that gopeft eval prints", DefaultText: "accuracy; f1 of tokens, answers and several labels; mse; perplexity"},
		&cli.IntFlag{Name: "early-stopping-patience", Usage: "stop after so many evaluations without a better one", DefaultText: "never"},
		&cli.IntFlag{Name: "save-steps", Usage: "steps between checkpoints", DefaultText: "at evaluations"},

		jsonFlag("print events as JSON, one a line"),
		&cli.StringFlag{Name: "plot", Usage: "write the training curve to this .png or .svg file"},
		&cli.StringFlag{Name: "tensorboard", Usage: "write TensorBoard events into this directory"},
	}, dataFlags()...)
}

func runTrain(c *cli.Context) error {
	err := trainAdapter(c, watcher{
		onData:  func(text string) { fmt.Fprintln(c.App.ErrWriter, text) },
		onEvent: func(train.Event) {},
		onDone:  func(summary train.Summary) error { return printSummary(c, summary) },
	})
	if errors.Is(err, c.Context.Err()) && c.Context.Err() != nil {
		return fmt.Errorf("%w; the state is saved: go on with --resume", err)
	}
	return err
}

// watcher is told of a run beside what is shown of it.
type watcher struct {
	onData  func(text string) // what was read of a file
	onEvent func(train.Event)
	onDone  func(train.Summary) error // that the run came to its end, whatever becomes of its picture
}

// trainAdapter does what a train command line says and shows how it goes.
func trainAdapter(c *cli.Context, w watcher) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	if err := errors.Join(applyPreset(c), applyTemplate(c)); err != nil {
		return err
	}
	if err := errors.Join(checkPlot(c.String("plot")), checkOptions(c)); err != nil {
		return err
	}
	resume, err := resumes(c)
	if err != nil {
		return err
	}
	job, err := newTraining(c, w.onData)
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
		w.onEvent(e)
	}
	restore := collectEarly()
	summary, err := job.run(c, config)
	restore()
	progress.finish()
	if err == nil {
		err = w.onDone(summary)
	}
	return errors.Join(err, reports.close())
}

// collectEarly makes garbage be collected before there is as much as the heap holds,
// unless GOGC says when: almost all of the heap of a run is memory that every step uses
// again, which is quickly looked through.
func collectEarly() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(25)
	return func() { debug.SetGCPercent(before) }
}

// unfinished says of what a directory holds that its training has not come to its end; "": it has, or
// nothing is known of one.
func unfinished(files fs.FS) string {
	at, err := train.StandingOf(files)
	if err != nil || at.Done { // a broken side file is reported where the adapter is opened
		return ""
	}
	return fmt.Sprintf("unfinished, after step %d of %d: the same gopeft train with --resume goes on", at.Step, at.Steps)
}

// warnUnfinished warns of an adapter or a model whose training has not come to its end.
func warnUnfinished(c *cli.Context) {
	for _, dir := range []string{c.String("base"), c.String("adapter")} {
		if dir == "" {
			continue
		}
		if text := unfinished(hfio.Dir(dir)); text != "" {
			fmt.Fprintf(c.App.ErrWriter, "gopeft: warning: %s: its training is %s\n", dir, text)
		}
	}
}

// resumes tells whether the run goes on with one in --output. Without --resume an
// adapter there is not replaced; with it, a run that was killed before its first
// checkpoint begins anew.
func resumes(c *cli.Context) (bool, error) {
	dir, config, what := c.String("output"), hfio.AdapterConfigFile, "an adapter"
	if c.Bool(fullFlag) {
		config, what = hfio.ModelConfigFile, "a model"
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return false, usagef("--output: %s: found a file, want a directory", dir)
	}
	_, err := os.Stat(filepath.Join(dir, config))
	there := err == nil
	if there && !c.Bool("resume") {
		return false, fmt.Errorf("%s holds %s already: go on with it with --resume, or choose another --output", dir, what)
	}
	if _, err := os.Stat(filepath.Join(dir, hfio.ReadmeFile)); err == nil && !there && !c.Bool("resume") {
		return false, fmt.Errorf("%s holds a %s, which the model card would replace: choose another --output", dir, hfio.ReadmeFile)
	}
	if !there && c.Bool("resume") {
		fmt.Fprintf(c.App.ErrWriter, "%s holds no checkpoint: beginning anew\n", dir)
	}
	return there, nil
}
