package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/convert"
	"github.com/gopeft/gopeft/hfio"
)

func convertCommand() *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "rewrite an adapter directory: format, dtype, name of the base",
		ArgsUsage: "SRC DST",
		Description: `Reads the PEFT adapter directory SRC and writes it to DST, which must not hold an adapter. With no option the files are the same bytes.
The model card README.md is kept, or made as PEFT makes one.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "safetensors or bin (default: as in SRC)"},
			&cli.StringFlag{Name: "dtype", Usage: "of the floating-point tensors: F32, F16, BF16 or F64 (default: as in SRC)"},
			&cli.StringFlag{Name: "base-model", Usage: "the new base_model_name_or_path (default: as in SRC)"},
		},
		Action: runConvert,
	}
}

func runConvert(c *cli.Context) error {
	args, err := wantArgs(c, "SRC", "DST")
	if err != nil {
		return err
	}
	opts := &convert.Options{DType: hfio.DType(strings.ToUpper(c.String("dtype"))), BaseModel: c.String("base-model")}
	switch c.String("format") {
	case "":
	case "safetensors":
		opts.Format = convert.SafeTensors
	case "bin":
		opts.Format = convert.Torch
	default:
		return usagef("--format: found %q, want safetensors or bin", c.String("format"))
	}
	switch opts.DType {
	case "", hfio.F32, hfio.F16, hfio.BF16, hfio.F64:
	default:
		return usagef("--dtype: found %q, want F32, F16, BF16 or F64", c.String("dtype"))
	}
	src, err := openDir(args[0])
	if err != nil {
		return err
	}
	if err := convert.Adapter(src, args[1], opts); err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "gopeft: wrote %s\n", filepath.Clean(args[1]))
	return nil
}
