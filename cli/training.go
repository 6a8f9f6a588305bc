package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/template"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/train"
)

// training is what a run needs.
type training struct {
	base  *auto.Base
	name  string              // of the base
	model *adapters.PeftModel // nil: the whole model is trained
	whole *train.Whole        // nil: an adapter is trained
	data  train.Dataset

	onData func(text string) // is told of a file that was read
}

// run trains.
func (job *training) run(c *cli.Context, config train.Config) (train.Summary, error) {
	if job.whole != nil {
		return train.RunWhole(c.Context, job.whole, job.data, config)
	}
	return train.Run(c.Context, job.model, job.data, config)
}

func newTraining(c *cli.Context, onData func(text string)) (*training, error) {
	start, err := startingPoint(c)
	if err != nil {
		return nil, err
	}
	open, err := openOptions(c)
	if err != nil {
		return nil, err
	}
	opts, err := dataOptions(c, start.task, start.problemType, start.labels, start.method)
	if err != nil {
		return nil, err
	}
	opts.Fields = start.fields()
	data, err := readData(c.String("data"), opts)
	if err != nil {
		return nil, err
	}
	onData(describeData(c.String("data"), data))
	if err := checkCut(c, c.String("data"), data); err != nil {
		return nil, err
	}
	name := baseName(c)
	files, err := baseFiles(name)
	if err != nil {
		return nil, err
	}
	open.Train = c.Bool(fullFlag)
	base, err := auto.Open(files, &open)
	if err != nil {
		return nil, err
	}
	job := &training{base: base, name: name, onData: onData}
	if err := job.fill(c, files, start, data, opts); err != nil {
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
	method      hfio.PeftType

	template   *template.Template // nil: none
	verbalizer *template.Verbalizer
}

// fields are what the template shows of an example; nil: there is no template.
func (s start) fields() []string {
	if s.template == nil {
		return nil
	}
	return s.template.Fields()
}

// modulesToSave are those of the adapter to start from, or of the command line. Else a new one
// trains the head whatever its name is.
func (s start) modulesToSave(c *cli.Context) []string {
	switch {
	case s.adapter != nil:
		return s.adapter.Config.ModulesToSave
	case c.IsSet("modules-to-save"):
		return modulesToSave(c)
	}
	return models.HeadModules
}

// startingPoint reads the task and the labels from the command line, or from the
// adapter to start from.
func startingPoint(c *cli.Context) (start, error) {
	s := start{task: models.Task(enum(c.String("task-type"))), problemType: c.String("problem-type"), method: hfio.PeftType(enum(c.String("peft-type")))}
	if list := c.String("labels"); list != "" {
		s.labels = strings.Split(list, ",")
	}
	if err := s.readTemplate(c.String("template"), c.String("verbalizer")); err != nil {
		return start{}, err
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
		s.adapter, s.task, s.method = file, models.Task(file.Config.TaskType), file.Config.PeftType
		if s.labels == nil {
			s.labels = info.Labels
		}
		if s.problemType == "" {
			s.problemType = info.ProblemType
		}
		if err := s.takeTemplate(info); err != nil {
			return start{}, err
		}
	} else if c.Bool(fullFlag) {
		s.method = ""
	} else if !slices.Contains(adapters.Methods(), s.method) {
		return start{}, usagef("--peft-type: found %q, want one of %v", c.String("peft-type"), adapters.Methods())
	}
	if tasks := []models.Task{models.SeqCls, models.TokenCls, models.QuestionAns, models.CausalLM, models.Seq2SeqLM}; !slices.Contains(tasks, s.task) {
		return start{}, usagef("--task-type: found %q, want one of %v", s.task, tasks)
	}
	if c.Bool(fullFlag) && train.IsWriting(s.task) {
		return start{}, usagef("--full: language models are trained with adapters only")
	}
	if s.problemType == "" && s.task == models.SeqCls {
		s.problemType = models.SingleLabel
	}
	if types := []string{"", models.SingleLabel, models.MultiLabel, models.Regression}; !slices.Contains(types, s.problemType) {
		return start{}, usagef("--problem-type: found %q, want one of %v", s.problemType, types[1:])
	}
	return s, s.checkTask(c)
}

// checkTask reports options that the task has no use for.
func (s *start) checkTask(c *cli.Context) error {
	switch {
	case s.task == models.Seq2SeqLM && !c.IsSet("base"):
		return usagef("--base is missing: none of the models in this program is for %s", s.task)
	case c.IsSet("problem-type") && s.task != models.SeqCls:
		return usagef("--problem-type: not an option of %s, want it with %s only", s.task, models.SeqCls)
	case c.IsSet("labels") && s.problemType == models.Regression:
		return usagef("--labels: not an option of a regression, which has none")
	case c.IsSet("labels") && s.task != models.SeqCls && s.task != models.TokenCls:
		return usagef("--labels: not an option of %s, want it with %s and %s only", s.task, models.SeqCls, models.TokenCls)
	case c.Bool("head-only") && train.IsWriting(s.task):
		return usagef("--head-only: %s trains no head, want it with the other tasks only", s.task)
	}
	return checkSeparator(c, s.task)
}

// fill makes the adapter and the features.
func (job *training) fill(c *cli.Context, files fs.FS, from start, data *train.Data, opts *train.DataOptions) error {
	tokenizer, err := predict.LoadTokenizer(files)
	if err != nil {
		return fmt.Errorf("%s: %w", job.name, err)
	}
	labels := data.Labels
	if from.template == nil && from.problemType == models.SingleLabel && len(labels) < 2 {
		return fmt.Errorf("%s: found the label %q only, want at least two labels", c.String("data"), labels)
	}
	if from.problemType == models.Regression {
		labels = []string{"value"}
	}
	encoder, err := from.encoder(tokenizer, job.base)
	if err != nil {
		return err
	}
	var model *models.Model
	if encoder != nil {
		model, err = languageModel(job.base, encoder)
	} else {
		model, err = job.base.Model(models.HeadSpec{
			Task: from.task, Labels: labels, ProblemType: from.problemType, Rand: rand.New(rand.NewPCG(c.Uint64("seed"), 1)),
			ModulesToSave: from.modulesToSave(c),
		})
	}
	if err != nil {
		return err
	}
	if c.Bool(fullFlag) {
		job.whole, err = newWhole(job.base, model, files)
	} else {
		err = job.adapt(c, files, model, tokenizer, from, data, labels)
	}
	if err != nil {
		return err
	}
	room := maxLength(job.base.Shape(), job.model)
	length := cmp.Or(c.Int("max-length"), room)
	if room > 0 && length > room {
		return usagef("--max-length: found %d, want at most %d: the base's positions without the virtual tokens", length, room)
	}
	if job.model != nil {
		job.model.Info.MaxLength = length
	}
	encode := train.EncodeOptions{Task: from.task, ProblemType: from.problemType, Labels: labels, MaxLength: length, Template: encoder}
	if train.IsWriting(from.task) {
		if encode.Writing, err = writingOf(files, tokenizer, model, job.model.InputRows() > 0, job.model.Info.Separator); err != nil {
			return err
		}
	}
	if job.data.Train, err = train.Encode(tokenizer, data.Examples, encode); err != nil {
		return fmt.Errorf("%s: %w", c.String("data"), err)
	}
	if train.IsWriting(from.task) {
		if n, line := unlearnt(job.data.Train); n > 0 {
			job.onData(fmt.Sprintf("gopeft: warning: %s: nothing is learnt of %d examples, the first in line %d: they are too short, or cut before what is to be learnt (--max-length)", c.String("data"), n, line))
		}
	}
	path := c.String("dev")
	if path == "" {
		return nil
	}
	if encoder == nil || encoder.HasWords() {
		opts.Labels = data.Labels
	}
	dev, err := readData(path, opts)
	if err != nil {
		return err
	}
	job.onData(describeData(path, dev))
	if err := job.checkTasks(path, dev); err != nil {
		return err
	}
	if job.data.Dev, err = train.Encode(tokenizer, dev.Examples, encode); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// warnOfPython says before the training what Python PEFT will refuse of its result.
func warnOfPython(c *cli.Context, m *adapters.PeftModel) error {
	file, err := m.File()
	if err != nil {
		return err
	}
	shape := m.Base.Backbone.Shape()
	for _, f := range adapters.Validate(file, &shape) {
		if f.Severity == adapters.Error {
			fmt.Fprintf(c.App.ErrWriter, "gopeft: warning: %s: %s\n", f.Field, f.Message)
		}
	}
	return nil
}

// adapt makes the adapter, and what gopeft.json says of it.
func (job *training) adapt(c *cli.Context, files fs.FS, model *models.Model, tokenizer *tokenize.Tokenizer, from start, data *train.Data, labels []string) (err error) {
	if from.adapter != nil {
		job.model, err = adapters.FromFile(from.adapter, model)
	} else {
		job.model, err = job.newAdapter(c, files, model, tokenizer, from.template, data)
	}
	if err != nil {
		return err
	}
	if err := checkBase(c, job.model); err != nil {
		return err
	}
	info := &job.model.Info
	if info.Base, err = adapters.DescribeBase(model.Backbone); err != nil {
		return err
	}
	info.Task, info.ProblemType, info.Labels = from.task, from.problemType, labels
	info.Columns = data.Columns
	from.describeTemplate(info)
	if c.IsSet("separator") && !separates(data) {
		return usagef("--separator: %s has no targets that it could stand before", c.String("data"))
	}
	if c.IsSet("separator") || from.adapter == nil && from.task == models.CausalLM {
		info.Separator = separatorOf(c, data)
	}
	if err := job.checkTasks(c.String("data"), data); err != nil {
		return err
	}
	return warnOfPython(c, job.model)
}

// checkTasks reports a file with tasks that the adapter does not have.
func (job *training) checkTasks(path string, data *train.Data) error {
	if job.model == nil {
		return nil
	}
	if tasks := job.model.Config.NumTasks; tasks > 0 && data.Tasks() > tasks {
		return fmt.Errorf("%s: found task %d, want 0 to %d: the adapter has --num-tasks %d", path, data.Tasks()-1, tasks-1, tasks)
	}
	return nil
}

// maxLength is how many tokens of a text the base has room for beside the virtual
// tokens of an adapter, nil for none; 0: any number.
func maxLength(base models.Shape, m *adapters.PeftModel) int {
	if m == nil || m.Info.Template != "" { // they are tokens of the template
		return base.MaxPositions
	}
	return max(0, base.MaxPositions-m.Config.NumVirtualTokens)
}

// enum is how PEFT writes a name: prompt-tuning is PROMPT_TUNING.
func enum(name string) string { return strings.ReplaceAll(strings.ToUpper(name), "-", "_") }

func trainConfig(c *cli.Context) train.Config {
	return train.Config{
		Epochs: c.Int("num-train-epochs"), MaxSteps: c.Int("max-steps"),
		BatchSize: c.Int("batch-size"), BatchTokens: c.Int("batch-tokens"), Accumulate: c.Int("gradient-accumulation-steps"),
		LearningRate: c.Float64("learning-rate"), Schedule: train.Schedule(c.String("lr-scheduler-type")),
		WarmupRatio: zeroIsNone(c, "warmup-ratio"), ClipNorm: zeroIsNone(c, "max-grad-norm"), WeightDecay: c.Float64("weight-decay"),
		Seed: c.Uint64("seed"), HeadOnly: c.Bool("head-only"), Checkpointing: c.Bool("checkpointing"),
		EvalSteps: c.Int("eval-steps"), Metric: c.String("metric"), Patience: c.Int("early-stopping-patience"),
		Dir: c.String("output"), SaveSteps: c.Int("save-steps"),
	}
}
