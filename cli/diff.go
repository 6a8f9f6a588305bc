package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
)

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "compare two adapters: config and tensors",
		ArgsUsage: "A B",
		Description: `Prints the config fields that differ and, of every tensor, the largest difference and the smallest and mean
cosine of its rows (of prompt_embeddings a row is a virtual token). Exit status 1 if the adapters differ.`,
		Flags:  []cli.Flag{jsonFlag("print one JSON object, with the cosine of every row")},
		Action: runDiff,
	}
}

func jsonFlag(usage string) cli.Flag { return &cli.BoolFlag{Name: "json", Usage: usage} }

func runDiff(c *cli.Context) error {
	args, err := wantArgs(c, "A", "B")
	if err != nil {
		return err
	}
	a, err := openAdapter(args[0])
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := openAdapter(args[1])
	if err != nil {
		return err
	}
	defer b.Close()
	difference, err := adapters.Diff(a, b)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(c.App.Writer, newJSONDifference(difference))
	} else {
		err = printDifference(c.App.Writer, difference)
	}
	if err == nil && !difference.Empty() {
		return errReported
	}
	return err
}

func openAdapter(path string) (*hfio.Adapter, error) {
	dir, err := openDir(path)
	if err != nil {
		return nil, err
	}
	return hfio.OpenAdapter(dir, nil)
}

// jsonDifference is a Difference with null where a cosine is not a number.
type jsonDifference struct {
	Config  []adapters.FieldDifference `json:"config"`
	Tensors []jsonTensorDifference     `json:"tensors"`
}

type jsonTensorDifference struct {
	adapters.TensorDifference
	Cosine []*float64 `json:"cosine,omitempty"` // in place of the embedded one
}

func newJSONDifference(d *adapters.Difference) jsonDifference {
	out := jsonDifference{Config: d.Config, Tensors: make([]jsonTensorDifference, len(d.Tensors))}
	for i, tensor := range d.Tensors {
		cosines := make([]*float64, len(tensor.Cosine))
		for row, cosine := range tensor.Cosine {
			if !math.IsNaN(cosine) {
				cosines[row] = &cosine
			}
		}
		out.Tensors[i] = jsonTensorDifference{tensor, cosines}
	}
	return out
}

func printDifference(w io.Writer, d *adapters.Difference) error {
	if d.Empty() {
		fmt.Fprintln(w, "the adapters are the same")
		return nil
	}
	if len(d.Config) > 0 {
		t := newTable(w, "field", "A", "B")
		for _, f := range d.Config {
			t.row(f.Field, valueOrAbsent(f.A), valueOrAbsent(f.B))
		}
		if err := t.flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	t := newTable(w, "tensor", "A", "B", "max |a-b|", "cosine min", "mean")
	for _, tensor := range d.Tensors {
		t.row(append([]string{tensor.Name, kindText(tensor.A), kindText(tensor.B)}, distances(tensor)...)...)
	}
	return t.flush()
}

func distances(t adapters.TensorDifference) []string {
	if t.Same {
		return []string{"same", "", ""}
	}
	if t.MaxAbs == nil {
		return []string{"-", "", ""}
	}
	cells := []string{fmt.Sprintf("%.3g", *t.MaxAbs), "", ""}
	if *t.MaxAbs == math.MaxFloat64 {
		cells[0] = "NaN or Inf"
	}
	if len(t.Cosine) > 0 {
		var sum float64
		for _, cosine := range t.Cosine {
			sum += cosine
		}
		cells[1] = fmt.Sprintf("%.4f", slices.Min(t.Cosine))
		cells[2] = fmt.Sprintf("%.4f", sum/float64(len(t.Cosine)))
	}
	return cells
}

func kindText(k *adapters.TensorKind) string {
	if k == nil {
		return "absent"
	}
	return fmt.Sprintf("%s %v", k.DType, k.Shape)
}

func valueOrAbsent(value json.RawMessage) string {
	if value == nil {
		return "absent"
	}
	return string(value)
}
