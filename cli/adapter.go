package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/template"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/train"
)

// newAdapter makes the adapter that the command line describes, for data, and for a template if
// there is one.
func (job *training) newAdapter(c *cli.Context, files fs.FS, model *models.Model, tokenizer *tokenize.Tokenizer, prompt *template.Template, data *train.Data) (_ *adapters.PeftModel, err error) {
	method := hfio.PeftType(enum(c.String("peft-type")))
	recipe := train.Defaults(method, train.KindOf(model))
	config := hfio.NewAdapterConfig(method)
	config.TaskType = hfio.TaskType(model.PeftTask())
	config.BaseModelNameOrPath = cmp.Or(c.String("base-model-name-or-path"), job.name)
	config.ModulesToSave = modulesToSave(c)
	config.NumVirtualTokens = cmp.Or(c.Int("num-virtual-tokens"), recipe.VirtualTokens)
	if prompt != nil {
		config.NumVirtualTokens = prompt.VirtualTokens()
	}
	setPrompt(c, &config, recipe)
	init := adapters.Init{Rand: rand.New(rand.NewPCG(c.Uint64("seed"), 2))}
	switch method {
	case hfio.Lora:
		err = setLora(c, &config, recipe)
	case hfio.MultitaskPromptTuning:
		init.Source, err = setMultitask(c, &config, data.Tasks())
	case hfio.CPT:
		err = setCPT(c, &config, files, model, tokenizer, data)
	}
	if err != nil {
		return nil, err
	}
	if config.PromptTuningInit == "TEXT" {
		config.PromptTuningInitText = c.String("prompt-tuning-init-text")
		config.TokenizerNameOrPath = config.BaseModelNameOrPath
		encoding, err := tokenizer.Encode(config.PromptTuningInitText, nil)
		if err != nil {
			return nil, err
		}
		init.TextIDs = encoding.IDs
	}
	tuned, err := adapters.New(model, config, init)
	return tuned, mapErrors(err, func(err error) error { return ofOption(c, err) })
}

// ofOption says of the options that set them what is wrong with fields of a new adapter's config.
func ofOption(c *cli.Context, err error) error {
	var field *hfio.FieldError
	var misfit *adapters.MismatchError
	switch {
	case errors.As(err, &field):
		text := strings.TrimPrefix(field.Err.Error(), adapters.ErrConfig.Error()+": ")
		return ofOptionNamed(c, field.Field, "found "+text, err)
	case errors.As(err, &misfit):
		var all []error
		for _, m := range misfit.Mismatches {
			one := &adapters.MismatchError{Mismatches: []adapters.Mismatch{m}}
			all = append(all, ofOptionNamed(c, m.Field, fmt.Sprintf("found %s, the base has %s", m.Adapter, m.Base), one))
		}
		return errors.Join(all...)
	}
	return err
}

// ofOptionNamed puts a text about an option in place of an error about its field, if the option was
// given; else it says that there is one.
func ofOptionNamed(c *cli.Context, field, text string, err error) error {
	name := strings.ReplaceAll(field, "_", "-")
	known := slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	switch {
	case c.IsSet(name):
		return usagef("--%s: %s", name, text)
	case known && !isSettled(c, name):
		return fmt.Errorf("%w (--%s sets it)", err, name)
	}
	return err
}

// setPrompt sets the fields of the methods with one prompt.
func setPrompt(c *cli.Context, config *hfio.AdapterConfig, recipe train.Recipe) {
	set(&config.PromptTuningInit, recipe.PromptTuningInit, enum(c.String("prompt-tuning-init")))
	set(&config.InitWeights, recipe.InitWeights, c.String("init-weights"))
	if config.InitWeights == initNormal {
		config.InitWeights = ""
	}
	set(&config.EncoderReparameterizationType, recipe.Reparameterize, enum(c.String("encoder-reparameterization-type")))
	config.EncoderHiddenSize = c.Int("encoder-hidden-size")
	config.EncoderNumLayers = cmp.Or(c.Int("encoder-num-layers"), config.EncoderNumLayers)
	config.EncoderDropout = c.Float64("encoder-dropout")
	config.PrefixProjection = c.Bool("prefix-projection")
	if c.IsSet("num-frozen-tokens") {
		config.NumFrozenTokens = c.Int("num-frozen-tokens")
	}
}

// setMultitask sets the fields of MULTITASK_PROMPT_TUNING and reads what it starts from.
func setMultitask(c *cli.Context, config *hfio.AdapterConfig, tasks int) ([]hfio.Tensor, error) {
	config.NumTasks = cmp.Or(c.Int("num-tasks"), tasks)
	config.NumRanks = cmp.Or(c.Int("num-ranks"), config.NumRanks)
	config.PromptTuningInitTask = c.Int("prompt-tuning-init-task")
	config.PromptTuningInitStateDictPath = c.String("prompt-tuning-init-state-dict-path")
	return readSource(config.PromptTuningInitStateDictPath)
}

// setCPT sets the fields of CPT, and makes its context of the first examples.
func setCPT(c *cli.Context, config *hfio.AdapterConfig, files fs.FS, model *models.Model, tokenizer *tokenize.Tokenizer, data *train.Data) error {
	set(&config.OptWeightedLossType, c.String("opt-weighted-loss-type"))
	for name, field := range map[string]*float64{
		"opt-loss-decay-factor": &config.OptLossDecayFactor, "opt-projection-epsilon": &config.OptProjectionEpsilon,
		"opt-projection-format-epsilon": &config.OptProjectionFormatEpsilon,
	} {
		if c.IsSet(name) {
			*field = c.Float64(name)
		}
	}
	if model.Task != models.CausalLM {
		return usagef("--peft-type: CPT is for --task-type %s, found %s", models.CausalLM, model.Task)
	}
	how, err := writingOf(files, tokenizer, model, true, separatorOf(c, data))
	if err != nil {
		return err
	}
	n := cmp.Or(c.Int("context-examples"), train.Defaults(hfio.CPT, train.KindOf(model)).ContextExamples)
	examples := data.Examples[:min(n, len(data.Examples))]
	config.CPTTokenIDs, config.CPTTokensTypeMask, err = train.ContextOf(tokenizer, examples, train.EncodeOptions{Writing: how})
	return err
}

// readSource reads the tensors of the adapter that a new one starts from.
func readSource(path string) ([]hfio.Tensor, error) {
	if path == "" {
		return nil, nil
	}
	dir, name := hfio.Dir(filepath.Dir(path)), filepath.Base(path)
	if strings.HasSuffix(name, ".safetensors") {
		file, err := hfio.OpenSafeTensors(dir, name, &hfio.OpenOptions{NoMap: true})
		if err != nil {
			return nil, err
		}
		return file.Tensors, nil
	}
	file, err := hfio.OpenTorch(dir, name, &hfio.OpenOptions{NoMap: true})
	if err != nil {
		return nil, err
	}
	return file.Tensors, nil
}

// setLora sets the fields of LORA.
func setLora(c *cli.Context, config *hfio.AdapterConfig, recipe train.Recipe) (err error) {
	config.R, config.LoraAlpha = cmp.Or(c.Int("r"), recipe.Rank), recipe.Alpha
	if c.IsSet("lora-alpha") {
		config.LoraAlpha = c.Float64("lora-alpha")
	}
	config.LoraDropout, config.UseRSLora, config.LoraBias = c.Float64("lora-dropout"), c.Bool("use-rslora"), c.Bool("lora-bias")
	config.UseDora = c.Bool("use-dora")
	set(&config.Bias, strings.ToLower(c.String("bias")))
	switch start := c.String("init-lora-weights"); start {
	case "":
	case "true", "false":
		config.InitLoraWeights = json.RawMessage(start)
	default:
		if config.InitLoraWeights, err = json.Marshal(start); err != nil {
			return err
		}
	}
	targets := c.String("target-modules")
	if targets == "" {
		return nil
	}
	// Names and "all-linear" have none of the signs of a pattern.
	var value any = targets
	if regexp.QuoteMeta(targets) == strings.ReplaceAll(targets, ".", `\.`) && targets != "all-linear" {
		value = strings.Split(targets, ",")
	}
	config.TargetModules, err = json.Marshal(value)
	return err
}

// modulesToSave are the names of --modules-to-save; nil: none.
func modulesToSave(c *cli.Context) []string {
	if names := c.String("modules-to-save"); names != "" {
		return strings.Split(names, ",")
	}
	return nil
}

// set sets a field to the last of the values that is not empty.
func set(field *string, values ...string) {
	for _, value := range values {
		if value != "" {
			*field = value
		}
	}
}
