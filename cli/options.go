package cli

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/train"
)

// methodOptions are the options of train that make a new adapter, with the methods
// that have them.
var methodOptions = map[string][]hfio.PeftType{
	"template":                        {hfio.PromptTuning, hfio.PTuning},
	"verbalizer":                      {hfio.PromptTuning, hfio.PTuning},
	"num-virtual-tokens":              {hfio.PromptTuning, hfio.PTuning, hfio.PrefixTuning, hfio.MultitaskPromptTuning, hfio.Cartridge},
	"prompt-tuning-init":              {hfio.PromptTuning, hfio.MultitaskPromptTuning},
	"prompt-tuning-init-text":         {hfio.PromptTuning, hfio.MultitaskPromptTuning},
	"encoder-reparameterization-type": {hfio.PTuning},
	"encoder-hidden-size":             {hfio.PTuning, hfio.PrefixTuning},
	"encoder-num-layers":              {hfio.PTuning},
	"encoder-dropout":                 {hfio.PTuning},
	"prefix-projection":               {hfio.PrefixTuning},
	"init-weights":                    {hfio.PrefixTuning},
	"num-tasks":                       {hfio.MultitaskPromptTuning},
	"num-ranks":                       {hfio.MultitaskPromptTuning},
	"num-frozen-tokens":               {hfio.Cartridge},
	"context-examples":                {hfio.CPT},
	"opt-weighted-loss-type":          {hfio.CPT},
	"opt-loss-decay-factor":           {hfio.CPT},
	"opt-projection-epsilon":          {hfio.CPT},
	"opt-projection-format-epsilon":   {hfio.CPT},
	"r":                               {hfio.Lora},
	"lora-alpha":                      {hfio.Lora},
	"lora-dropout":                    {hfio.Lora},
	"target-modules":                  {hfio.Lora},
	"use-rslora":                      {hfio.Lora},
	"init-lora-weights":               {hfio.Lora},
	"bias":                            {hfio.Lora},
	"lora-bias":                       {hfio.Lora},
	"use-dora":                        {hfio.Lora},
	"modules-to-save":                 adapters.Methods(),

	"prompt-tuning-init-state-dict-path": {hfio.MultitaskPromptTuning},
	"prompt-tuning-init-task":            {hfio.MultitaskPromptTuning},
}

// besides are the options of a new adapter that count beside another option alone, where that has
// one of the values.
var besides = map[string]struct {
	option string
	values []string
}{
	"prompt-tuning-init-text":            {"prompt-tuning-init", []string{"TEXT"}},
	"prompt-tuning-init-state-dict-path": {"prompt-tuning-init", []string{"AVERAGE_SOURCE_TASKS", "EXACT_SOURCE_TASK", "ONLY_SOURCE_SHARED"}},
	"prompt-tuning-init-task":            {"prompt-tuning-init", []string{"EXACT_SOURCE_TASK"}},
	"encoder-num-layers":                 {"encoder-reparameterization-type", []string{"LSTM"}},
	"encoder-dropout":                    {"encoder-reparameterization-type", []string{"LSTM"}},
	"opt-loss-decay-factor":              {"opt-weighted-loss-type", []string{"decay"}},
}

// projects is the option without which a prefix has no encoder-hidden-size.
const projects = "prefix-projection"

// checkBeside reports an option of a new adapter that lacks the one beside which it counts.
func checkBeside(c *cli.Context, name string, method hfio.PeftType) error {
	if name == "encoder-hidden-size" && method == hfio.PrefixTuning && !c.Bool(projects) {
		return usagef("--%s: has no effect on %s without --%s", name, method, projects)
	}
	needs, ok := besides[name]
	has := func(value string) bool { return enum(value) == enum(c.String(needs.option)) }
	if ok && !slices.ContainsFunc(needs.values, has) {
		return usagef("--%s: has no effect without --%s %s", name, needs.option, strings.Join(needs.values, " or "))
	}
	return nil
}

// takes tells whether a method has an option of train.
func takes(option string, method hfio.PeftType) bool {
	methods, isOfMethod := methodOptions[option]
	return !isOfMethod || slices.Contains(methods, method)
}

// checkOptions reports the options of train that would be ignored, and those that
// are 0 where 0 means nothing.
func checkOptions(c *cli.Context) error {
	if err := checkTemplate(c); err != nil {
		return err
	}
	method := hfio.PeftType(enum(c.String("peft-type")))
	if err := checkFull(c); err != nil {
		return err
	}
	for _, flag := range c.Command.Flags {
		name := flag.Names()[0]
		methods, isOfMethod := methodOptions[name]
		switch {
		case !c.IsSet(name):
		case c.String("adapter") != "" && (isOfMethod || slices.Contains([]string{"peft-type", "task-type", "base-model-name-or-path"}, name)):
			return usagef("--%s: the adapter of --adapter has its own, want one of the two options", name)
		case isOfMethod && c.Bool(fullFlag):
			return usagef("--%s: an option of adapters, want it without --%s", name, fullFlag)
		case !takes(name, method):
			return usagef("--%s: not an option of %s, want it with %v only", name, method, methods)
		default:
			if err := checkBeside(c, name, method); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"eval-steps", "metric", "early-stopping-patience"} {
		if c.IsSet(name) && c.String("dev") == "" {
			return usagef("--%s: needs --dev", name)
		}
	}
	if enum(c.String("prompt-tuning-init")) == "TEXT" && c.String("prompt-tuning-init-text") == "" {
		return usagef("--prompt-tuning-init TEXT: needs --prompt-tuning-init-text")
	}
	return errors.Join(checkNumbers(c), checkWords(c))
}

// checkNumbers reports numbers of the command line that no training can have.
func checkNumbers(c *cli.Context) error {
	for _, name := range []string{
		"learning-rate", "num-virtual-tokens", "num-tasks", "num-ranks", "context-examples", "r", "num-train-epochs", "batch-size", "gradient-accumulation-steps", "max-length",
	} {
		if value := c.Float64(name); c.IsSet(name) && !(value > 0) {
			return usagef("--%s: found %v, want more than 0", name, value)
		}
	}
	for _, name := range []string{"max-steps", "batch-tokens", "eval-steps", "save-steps", "early-stopping-patience", "weight-decay", "max-grad-norm"} {
		if value := c.Float64(name); c.IsSet(name) && !(value >= 0) {
			return usagef("--%s: found %v, want 0 or more", name, value)
		}
	}
	if share := c.Float64("warmup-ratio"); !(share >= 0 && share <= 1) {
		return usagef("--warmup-ratio: found %v, want 0 to 1", share)
	}
	for _, flag := range c.Command.Flags {
		if _, ok := flag.(*cli.Float64Flag); !ok {
			continue
		}
		if name, value := flag.Names()[0], c.Float64(flag.Names()[0]); math.IsNaN(value) || math.IsInf(value, 0) {
			return usagef("--%s: found %v, want a finite number", name, value)
		}
	}
	return nil
}

// initNormal is the word for the N(0, 1) that PEFT makes of a null.
const initNormal = "normal"

// checkWords reports options with a word that is none of those that they take.
func checkWords(c *cli.Context) error {
	for name, words := range map[string][]string{
		"lr-scheduler-type": {string(train.Linear), string(train.Cosine), string(train.Constant)},
		"init-weights":      {"zero", initNormal},
	} {
		if value := c.String(name); c.IsSet(name) && !slices.Contains(words, value) {
			return usagef("--%s: found %q, want %s", name, value, strings.Join(words, " or "))
		}
	}
	return nil
}

// zeroIsNone returns a number for train.Config, where 0 stands for the default and
// a negative number for none: a 0 that somebody wrote means none.
func zeroIsNone(c *cli.Context, name string) float64 {
	if value := c.Float64(name); value != 0 || !c.IsSet(name) {
		return value
	}
	return -1
}
