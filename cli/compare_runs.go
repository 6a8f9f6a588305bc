package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/train"
)

// comparison is one run of compare.
type comparison struct {
	c     *cli.Context
	dir   string
	state compareState
	told  []string // of the data
}

// compareState is compare.json: what was trained, and how it ended.
type compareState struct {
	Options []string      `json:"options"` // of train, for all methods that have them
	Runs    []*compareRun `json:"runs"`
}

// compareRun is one adapter.
type compareRun struct {
	Method   string   `json:"method"`
	Seed     int      `json:"seed"`
	Settings []string `json:"settings,omitempty"` // of the sweep, as options of train
	Sweep    bool     `json:"sweep,omitempty"`    // trained to find the settings, and not compared
	Dir      string   `json:"dir"`                // in --output
	// Ended: "": half-done; "done"; "hopeless": stopped by the median rule.
	Ended   string        `json:"ended"`
	Seconds float64       `json:"seconds"` // of training, those before an interruption included
	Bytes   int64         `json:"bytes"`
	Summary train.Summary `json:"summary"`
}

const compareFile = "compare.json"

// newComparison reads the state of an earlier run, which must have had the same options.
func newComparison(c *cli.Context) (*comparison, error) {
	x := &comparison{c: c, dir: c.String("output"), state: compareState{Options: trainOptions(c)}}
	path := filepath.Join(x.dir, compareFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	} else if err != nil {
		return nil, err
	}
	var before compareState
	if err := json.Unmarshal(data, &before); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !slices.Equal(before.Options, x.state.Options) {
		return nil, fmt.Errorf("%s: the runs there had the options %q, found %q: choose another --output", path, before.Options, x.state.Options)
	}
	x.state = before
	return x, nil
}

// trainOptions returns the options of the command line that are train's.
func trainOptions(c *cli.Context) []string {
	var options []string
	known := trainFlags()
	for _, flag := range c.Command.Flags {
		name := flag.Names()[0]
		isTrains := slices.ContainsFunc(known, func(f cli.Flag) bool { return f.Names()[0] == name })
		if !c.IsSet(name) || !isTrains || slices.Contains(ownTrainFlags, name) || name == runFileFlag {
			continue
		}
		if _, isList := flag.(*cli.StringSliceFlag); isList {
			for _, value := range c.StringSlice(name) {
				options = append(options, "--"+name+"="+value)
			}
			continue
		}
		options = append(options, "--"+name+"="+fmt.Sprint(c.Value(name)))
	}
	return options
}

// fitting returns the options of a run, without those that its method does not have, what a prefix
// without a projection has no use for, checkpointing where layers are trained, and what counts beside
// a setting of the sweep alone that the run does not have.
func (x *comparison) fitting(r *compareRun) []string {
	options, method := slices.Concat(x.state.Options, r.Settings), peftTypeOf(r.Method)
	has := func(option string, values ...string) bool {
		return slices.ContainsFunc(values, func(value string) bool { return slices.Contains(options, "--"+option+"="+value) })
	}
	return slices.DeleteFunc(slices.Clone(options), func(option string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(option, "--"), "=")
		plain := method == hfio.PrefixTuning && !has(projects, "true")
		inLayers := method == hfio.Lora || method == ""
		needs := besides[name]
		return !takes(name, method) || plain && name == "encoder-hidden-size" || inLayers && name == "checkpointing" ||
			x.tries(needs.option, needs.values) && !has(needs.option, needs.values...)
	})
}

// peftTypeOf returns the method of a preset, "" of the whole model, or the method itself.
func peftTypeOf(method string) hfio.PeftType {
	for _, options := range presets[method] {
		return hfio.PeftType(options["peft-type"])
	}
	return hfio.PeftType(method)
}

// run trains an adapter, goes on with a half-done one, or returns a finished one. The best of a sweep
// is trained once: it is compared, too.
func (x *comparison) run(method string, seed int, settings []string, sweep bool) (*compareRun, error) {
	r := &compareRun{Method: method, Seed: seed, Settings: settings, Sweep: sweep}
	at := slices.IndexFunc(x.state.Runs, func(o *compareRun) bool {
		return o.Method == method && o.Seed == seed && slices.Equal(o.Settings, settings)
	})
	if at >= 0 {
		r = x.state.Runs[at]
		if r.Sweep && !sweep {
			r.Sweep = false
			fmt.Fprintf(x.c.App.ErrWriter, "\n%s, seed %d: trained in the sweep, %s\n", method, seed, filepath.Join(x.dir, r.Dir))
			if err := x.save(); err != nil {
				return nil, err
			}
		}
	} else {
		r.Dir = fmt.Sprintf("%s-seed%d", method, seed)
		if sweep {
			r.Dir = filepath.Join("sweep", strings.Join(append([]string{method}, trimmed(settings)...), "-"))
		}
		x.state.Runs = append(x.state.Runs, r)
	}
	if r.Ended != "" {
		return r, nil
	}
	if err := x.train(r); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", r.Dir, err), x.keep())
	}
	return r, x.save()
}

// keep saves what there is to go on with after an error. Of a comparison that did not begin nothing is
// left: a wrong option can be set right in the same --output.
func (x *comparison) keep() error {
	x.state.Runs = slices.DeleteFunc(x.state.Runs, func(r *compareRun) bool { return !began(filepath.Join(x.dir, r.Dir)) })
	if len(x.state.Runs) == 0 {
		return nil
	}
	return x.save()
}

// began tells whether a run has written into its directory.
func began(dir string) bool {
	return holds(dir, hfio.AdapterConfigFile) || holds(dir, hfio.ModelConfigFile)
}

// trimmed returns options without their dashes, for a directory's name.
func trimmed(options []string) []string {
	var names []string
	for _, option := range options {
		names = append(names, strings.TrimPrefix(option, "--"))
	}
	return names
}

// train does the work of run, and leaves in r how it ended.
func (x *comparison) train(r *compareRun) error {
	dir := filepath.Join(x.dir, r.Dir)
	args := append([]string{"train"}, x.fitting(r)...)
	if _, isPreset := presets[r.Method]; isPreset {
		args = append(args, "--preset="+r.Method)
	} else {
		args = append(args, "--peft-type="+r.Method)
	}
	args = append(args, fmt.Sprintf("--seed=%d", r.Seed), "--output="+dir)
	fmt.Fprintf(x.c.App.ErrWriter, "\n$ gopeft %s\n", shellLine(args))
	if began(dir) {
		args = append(args, "--resume")
	}
	ctx, stop := context.WithCancel(x.c.Context)
	defer stop()
	start := time.Now()
	summary, err := x.trainCommandLine(ctx, args, func(e train.Event) {
		if e.Kind != train.EvalEvent {
			return
		}
		seen(&r.Summary, e)
		if r.Sweep && x.hopeless(r, e.Step) {
			r.Ended = "hopeless"
			stop()
		}
	})
	r.Seconds += time.Since(start).Seconds()
	if r.Ended == "hopeless" && x.c.Context.Err() == nil {
		fmt.Fprintln(x.c.App.ErrWriter, "stopped: worse than the median of the others")
		return nil
	}
	r.Ended = ""
	if err != nil {
		if x.c.Context.Err() != nil {
			return fmt.Errorf("%w; what is trained is saved: the same command goes on", err)
		}
		return err
	}
	r.Ended, r.Summary = "done", summary
	r.Bytes, err = trainedBytes(dir)
	return err
}

// seen notes an evaluation in the summary of a run that may not come to its end.
func seen(s *train.Summary, e train.Event) {
	s.Metric = e.Metric
	// One that was interrupted after its last checkpoint measures again.
	s.Evaluations = slices.DeleteFunc(s.Evaluations, func(o train.EvalPoint) bool { return o.Step >= e.Step })
	s.Evaluations = append(s.Evaluations, train.EvalPoint{Step: e.Step, Loss: e.Loss, Metrics: e.Metrics})
	if e.Best {
		s.Best, s.BestStep = valueOf(s.Evaluations[len(s.Evaluations)-1], e.Metric), e.Step
	}
}

// valueOf returns a metric of an evaluation, the loss being one.
func valueOf(e train.EvalPoint, metric string) float64 {
	if metric == "loss" {
		return e.Loss
	}
	return e.Metrics[metric]
}

// trainCommandLine runs a command line of train and returns its summary instead of printing it.
func (x *comparison) trainCommandLine(ctx context.Context, args []string, onEvent func(train.Event)) (train.Summary, error) {
	var summary train.Summary
	app := newApp(Streams{In: x.c.App.Reader, Out: io.Discard, Err: x.c.App.ErrWriter})
	app.Command("train").Action = func(c *cli.Context) error {
		return trainAdapter(c, watcher{x.tell, onEvent, func(s train.Summary) error {
			summary = s
			return nil
		}})
	}
	err := app.RunContext(ctx, append([]string{"gopeft"}, args...))
	return summary, err
}

// tell says what was read of a data file: all runs read the same, most in the same way.
func (x *comparison) tell(text string) {
	if !slices.Contains(x.told, text) {
		x.told = append(x.told, text)
		fmt.Fprintln(x.c.App.ErrWriter, text)
	}
}

func (x *comparison) save() error {
	data, err := json.MarshalIndent(x.state, "", "  ")
	if err != nil {
		return err
	}
	return hfio.WriteFile(filepath.Join(x.dir, compareFile), append(data, '\n'))
}
