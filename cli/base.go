package cli

import (
	"cmp"
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/predict"
)

func baseFlag() cli.Flag {
	return &cli.StringFlag{Name: "base", Usage: "the base model's directory", DefaultText: "the embedded " + embedded.Name}
}

// baseName is how messages and adapters name the base.
func baseName(c *cli.Context) string { return cmp.Or(c.String("base"), embedded.Name) }

// baseFiles returns the files of a base, which is a directory or the embedded one.
func baseFiles(name string) (fs.FS, error) {
	if name == embedded.Name {
		return embedded.Files(), nil
	}
	return openDir(name)
}

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
