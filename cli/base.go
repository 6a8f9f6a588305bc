package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/models/embedded/decoder"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/tokenize"
)

// embeddedModels are the bases in this program, by the names that adapters have for them.
var embeddedModels = map[string]func() fs.FS{embedded.Name: embedded.Files, decoder.Name: decoder.Files}

func embeddedNames() []string { return slices.Sorted(maps.Keys(embeddedModels)) }

func baseFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "base", Usage: "the base model's directory, or its GGUF file",
		DefaultText: fmt.Sprintf("a model in this program: that of the adapter, else %s for %s, else %s", decoder.Name, hfio.CausalLM, embedded.Name),
	}
}

// baseName is how messages and adapters name the base. Without --base it is the embedded model
// that the adapter names, or the one for its task.
func baseName(c *cli.Context) string {
	if name := c.String("base"); name != "" {
		return name
	}
	task := hfio.TaskType(enum(c.String("task-type")))
	if config, ok := adapterConfig(c.String("adapter")); ok {
		if _, isEmbedded := embeddedModels[config.BaseModelNameOrPath]; isEmbedded {
			return config.BaseModelNameOrPath
		}
		task = config.TaskType
	} else if c.Command.Name == "generate" {
		task = hfio.CausalLM // an encoder writes nothing
	}
	if task == hfio.CausalLM {
		return decoder.Name
	}
	return embedded.Name
}

// adapterConfig reads the config of an adapter. What is wrong with one is reported where it is opened.
func adapterConfig(dir string) (config hfio.AdapterConfig, ok bool) {
	if dir == "" {
		return config, false
	}
	data, err := fs.ReadFile(hfio.Dir(dir), hfio.AdapterConfigFile)
	if err != nil {
		return config, false
	}
	config, err = hfio.ParseAdapterConfig(hfio.AdapterConfigFile, data)
	return config, err == nil
}

// baseFiles returns the files of a base, which is a directory or an embedded one.
func baseFiles(name string) (fs.FS, error) {
	if files, isEmbedded := embeddedModels[name]; isEmbedded {
		return files(), nil
	}
	files, err := openDir(name)
	if missing := (*missingError)(nil); errors.As(err, &missing) && hubName.MatchString(name) {
		return nil, fmt.Errorf("%w; if it is a model of the Hugging Face Hub: gopeft downloads none, `hf download %s --local-dir DIR` does, and --base takes DIR", err, name)
	}
	return files, err
}

// hubName is how models of the Hub are named, and directories may be.
var hubName = regexp.MustCompile(`^[\w-][\w.-]*/[\w.-]+$`)

func openBase(c *cli.Context, name string) (*predict.Base, error) {
	opts, err := openOptions(c)
	if err != nil {
		return nil, err
	}
	files, err := baseFiles(name)
	if err != nil {
		return nil, err
	}
	return predict.OpenBase(files, &predict.Options{OpenOptions: opts})
}

// tokenizerOf returns the tokenizer of the base that a command runs on.
func tokenizerOf(c *cli.Context, base *predict.Base) (*tokenize.Tokenizer, error) {
	tokenizer, err := base.Tokenizer()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", baseName(c), err)
	}
	return tokenizer, nil
}

func dtypeFlag() cli.Flag {
	return &cli.StringFlag{Name: "dtype", Usage: "fp32, or bf16: multiply with the base's weights in bfloat16, which is faster and less exact", Value: "fp32"}
}

// dtypes are the values of --dtype, torch's names too. A command without the option computes in float32.
var dtypes = map[string]hfio.DType{"": hfio.F32, "fp32": hfio.F32, "float32": hfio.F32, "bf16": hfio.BF16, "bfloat16": hfio.BF16}

// openOptions says how the base is opened.
func openOptions(c *cli.Context) (auto.OpenOptions, error) {
	dtype, known := dtypes[c.String("dtype")]
	if !known {
		return auto.OpenOptions{}, usagef("--dtype: found %q, want fp32 or bf16", c.String("dtype"))
	}
	return auto.OpenOptions{DType: dtype}, nil
}
