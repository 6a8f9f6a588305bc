package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/train/report"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "train several methods on one task and show which does best",
		ArgsUsage: " ",
		Description: `Trains every method of --methods with every seed, each into a directory of --output, and prints one row a method: trained parameters, their share
of the base, bytes on disk, the metric of --dev as mean ± standard deviation over the seeds, seconds, and tokens a second. --output also gets compare.json
and compare.svg. Each run is a command line of gopeft train, which is printed; the options of train hold for all methods that have them, and what is not
given is each method's own default. After Ctrl-C the same command line goes on where it was.

With --sweep each method first looks for its settings with the first seed, one after the other, keeping the best of each:
` + sweepText() + `
A run of the sweep ends early when its best metric is worse than the median of what the others had on average at the same step (the median rule of
Golovin et al. 2017, "Google Vizier"). Settings given as options stay as they are. The best run of a sweep is that of the first seed, too, and stays
in the folder sweep of --output.

Example:
   gopeft compare --data train.tsv --dev dev.tsv --methods PROMPT_TUNING,PREFIX_TUNING,p-tuning-v2 --output comparison`,
		Flags:  compareFlags(),
		Action: runCompare,
	}
}

// ownTrainFlags are the options of train that compare sets itself, or has no use for.
var ownTrainFlags = []string{
	"preset", "peft-type", fullFlag, "adapter", "output", "resume", "seed", "json", "plot", "tensorboard", "base-model-name-or-path",
}

func compareFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Usage: "a directory for the adapters, compare.json and compare.svg", Required: true},
		&cli.StringFlag{Name: "methods", Usage: "PEFT methods and presets, separated with commas", DefaultText: strings.Join(compared, ",") + "; head not for language models"},
		&cli.IntFlag{Name: "seeds", Usage: "how often each method is trained, with the seeds 1 to so many", Value: 3},
		&cli.BoolFlag{Name: "sweep", Usage: "look for each method's settings first"},
		jsonFlag("print what compare.json holds instead of the table"),
	}
	for _, flag := range trainFlags() {
		switch name := flag.Names()[0]; {
		case name == "dev":
			flags = append(flags, &cli.StringFlag{Name: name, Usage: "the file that the methods are compared on", Required: true})
		case !slices.Contains(ownTrainFlags, name):
			flags = append(flags, flag)
		}
	}
	return flags
}

func runCompare(c *cli.Context) error {
	if _, err := wantArgs(c); err != nil {
		return err
	}
	if c.Int("seeds") < 1 {
		return usagef("--seeds: found %d, want 1 or more", c.Int("seeds"))
	}
	methods, err := methodsOf(c)
	if err != nil {
		return err
	}
	x, err := newComparison(c)
	if err != nil {
		return err
	}
	err = x.trainAll(methods)
	if len(x.state.scored()) == 0 {
		return err
	}
	return errors.Join(err, x.show())
}

// compared is what is compared where nothing is named: the baseline and the methods that
// most people choose from.
var compared = []string{"head", string(hfio.PromptTuning), string(hfio.PTuning), string(hfio.PrefixTuning), string(hfio.Lora)}

// methodsOf returns the methods and presets of --methods, as train takes them.
func methodsOf(c *cli.Context) ([]string, error) {
	task := models.Task(enum(c.String("task-type")))
	if c.String("methods") == "" {
		return slices.DeleteFunc(slices.Clone(compared), func(name string) bool { return !isFor(name, task) }), nil
	}
	var known []string
	for _, method := range adapters.Methods() {
		known = append(known, string(method))
	}
	known = append(known, slices.Sorted(maps.Keys(presets))...)
	var methods []string
	for _, name := range strings.Split(c.String("methods"), ",") {
		if method := enum(name); slices.Contains(known, method) {
			name = method
		}
		if !slices.Contains(known, name) {
			return nil, usagef("--methods: found %q, want some of %v", name, known)
		}
		if slices.Contains(methods, name) {
			return nil, usagef("--methods: found %s twice", name)
		}
		if !isFor(name, task) {
			return nil, usagef("--methods: %s is not for --task-type %s", name, task)
		}
		methods = append(methods, name)
	}
	return methods, nil
}

// isFor tells whether a preset, or CPT, is for a task; other methods are for most.
func isFor(method string, task models.Task) bool {
	recipes, isPreset := presets[method]
	_, known := recipes[task]
	return known || !isPreset && (method != string(hfio.CPT) || task == models.CausalLM)
}

// trainAll trains every method with the first seed, then every one with the second, so
// that there is something to compare early.
func (x *comparison) trainAll(methods []string) error {
	settings := map[string][]string{}
	if x.c.Bool("sweep") {
		for _, method := range methods {
			best, err := x.sweep(method)
			if err != nil {
				return err
			}
			settings[method] = best
		}
	}
	for seed := range x.c.Int("seeds") {
		for _, method := range methods {
			if _, err := x.run(method, seed+1, settings[method], false); err != nil {
				return err
			}
		}
	}
	return nil
}

// show prints the table, or compare.json, and draws the picture.
func (x *comparison) show() error {
	base, err := x.baseParameters()
	if err != nil {
		return err
	}
	scores := x.state.scores()
	var drawn []report.Score
	for _, s := range scores {
		drawn = append(drawn, report.Score{Method: s.method, Parameters: s.parameters, Mean: s.mean, SD: s.sd})
	}
	picture := filepath.Join(x.dir, "compare.svg")
	if err := report.SaveScores(picture, x.state.metric(), drawn); err != nil {
		return err
	}
	if x.c.Bool("json") {
		return printJSON(x.c.App.Writer, x.state)
	}
	header := []string{"method", "trained", "of the base", "bytes", x.state.metric(), "seconds", "tok/s"}
	if x.c.Bool("sweep") {
		header = append(header, "settings")
	}
	t := newTable(x.c.App.Writer, header...)
	for _, s := range scores {
		metric := fmt.Sprintf("%.4f", s.mean)
		if s.seeds > 1 {
			metric += fmt.Sprintf(" ± %.4f", s.sd)
		}
		row := []string{
			s.method, fmt.Sprint(s.parameters), fmt.Sprintf("%.3g %%", 100*float64(s.parameters)/float64(base)), fmt.Sprint(s.bytes),
			metric, fmt.Sprintf("%.1f", s.seconds), fmt.Sprintf("%.0f", s.tokensPerSecond),
		}
		if x.c.Bool("sweep") {
			row = append(row, strings.Join(s.settings, " "))
		}
		t.row(row...)
	}
	fmt.Fprintf(x.c.App.ErrWriter, "\nmean over the seeds of each method; the picture is %s\n", picture)
	return t.flush()
}

// baseParameters counts the values of the base's files.
func (x *comparison) baseParameters() (int, error) {
	files, err := baseFiles(baseName(x.c))
	if err != nil {
		return 0, err
	}
	base, err := inspectModel(files)
	return base.Values, err
}

// trainedBytes is the size of what PEFT reads of an adapter, or transformers of a model.
func trainedBytes(dir string) (int64, error) {
	names := []string{hfio.AdapterConfigFile, hfio.AdapterWeightsFile}
	if holds(dir, hfio.ModelConfigFile) {
		names = []string{hfio.ModelConfigFile, hfio.ModelWeightsFile}
	}
	var n int64
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, nil
}

// holds tells whether a directory has a file.
func holds(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}
