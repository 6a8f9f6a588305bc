package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// presets are recipes, by name and task: options that count where neither the command
// line nor the run file gives them.
var presets = map[string]map[models.Task]map[string]string{
	// Liu et al. 2021, "P-Tuning v2", arXiv:2110.07602: a prefix in every layer, without
	// reparameterization, and a linear head instead of a verbalizer. The figures are those of its
	// authors' scripts for BERT on RTE and CoNLL-04, and for RoBERTa on SQuAD.
	"p-tuning-v2": {
		models.SeqCls:      pTuningV2("20", "1e-2", "32", "60"),
		models.TokenCls:    pTuningV2("128", "2e-2", "32", "40"),
		models.QuestionAns: pTuningV2("16", "5e-3", "8", "30"),
	},
	// What a method must beat: the head on the base as it is. It is kept as a LORA that adds
	// nothing, its B being 0, so that PEFT loads it too.
	fullFlag: {models.SeqCls: allWeights, models.TokenCls: allWeights, models.QuestionAns: allWeights},
	"head":   {models.SeqCls: headAlone, models.TokenCls: headAlone, models.QuestionAns: headAlone},
}

// Full fine-tuning, with the defaults of the whole model.
var allWeights = map[string]string{fullFlag: "true"}

var headAlone = map[string]string{
	"peft-type": string(hfio.Lora), "r": "1", "lora-alpha": "1", "head-only": "true", "learning-rate": "1e-2",
}

func pTuningV2(virtualTokens, learningRate, batchSize, epochs string) map[string]string {
	return map[string]string{
		"peft-type": string(hfio.PrefixTuning), "prefix-projection": "false",
		"num-virtual-tokens": virtualTokens, "learning-rate": learningRate, "batch-size": batchSize, "num-train-epochs": epochs,
		"lr-scheduler-type": "linear", "warmup-ratio": "0",
	}
}

func presetFlag() cli.Flag {
	return &cli.StringFlag{Name: "preset", Usage: fmt.Sprintf("a recipe, by the task; other options win: %v", slices.Sorted(maps.Keys(presets)))}
}

// applyPreset sets the options of --preset that are not set.
func applyPreset(c *cli.Context) error {
	name := c.String("preset")
	if name == "" {
		return nil
	}
	preset, known := presets[name]
	if !known {
		return usagef("--preset: found %q, want one of %v", name, slices.Sorted(maps.Keys(presets)))
	}
	options, known := preset[models.Task(enum(c.String("task-type")))]
	if !known {
		return usagef("--preset %s: it has no recipe for --task-type %s", name, c.String("task-type"))
	}
	if method := enum(c.String("peft-type")); c.IsSet("peft-type") && method != options["peft-type"] {
		return usagef("--preset %s: a recipe for %s, found --peft-type %s", name, cmp.Or(options["peft-type"], "all weights"), method)
	}
	if c.IsSet("adapter") {
		return usagef("--preset: the adapter of --adapter has its own method and sizes, want one of the two options")
	}
	for _, option := range slices.Sorted(maps.Keys(options)) {
		if c.IsSet(option) || option == "num-train-epochs" && c.IsSet("max-steps") {
			continue
		}
		if err := c.Set(option, options[option]); err != nil {
			return err
		}
	}
	return nil
}
