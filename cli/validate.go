package cli

import (
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/predict"
)

func validateCommand() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "report everything that is wrong with an adapter",
		ArgsUsage: "DIR",
		Description: `Reads the adapter directory DIR and reports all its problems at once: errors (it cannot be used), warnings (something is
likely not as meant) and notes. With --base also everything in which it does not fit that base. Exit status 1 if there are errors.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "base", Usage: "a base model's directory, to check the fit"},
			jsonFlag("print one JSON array of findings"),
		},
		Action: runValidate,
	}
}

func runValidate(c *cli.Context) error {
	args, err := wantArgs(c, "DIR")
	if err != nil {
		return err
	}
	a, err := openAdapter(args[0])
	if err != nil {
		return err
	}
	defer a.Close()
	findings, err := findingsOf(c, a, c.String("base"))
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		err = printJSON(c.App.Writer, append([]adapters.Finding{}, findings...))
	case len(findings) == 0:
		_, err = fmt.Fprintf(c.App.Writer, "%s: no problems found\n", args[0])
	default:
		err = printFindings(c.App.Writer, findings)
	}
	isError := func(f adapters.Finding) bool { return f.Severity == adapters.Error }
	if err == nil && slices.ContainsFunc(findings, isError) {
		return errReported
	}
	return err
}

// findingsOf validates an adapter, against the base in a directory where one is given.
func findingsOf(c *cli.Context, a *hfio.Adapter, baseDir string) ([]adapters.Finding, error) {
	if baseDir == "" {
		return adapters.Validate(a, nil), nil
	}
	base, err := openBase(c, baseDir)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	shape := base.Shape()
	findings := adapters.Validate(a, &shape)
	// Putting it on the base checks the head, too.
	isOther, err := putOn(base, a)
	more := slices.DeleteFunc(adapters.Findings(err), func(f adapters.Finding) bool {
		return slices.ContainsFunc(findings, func(o adapters.Finding) bool {
			return o.Message == f.Message && (o.Field == f.Field || f.Field == hfio.AdapterWeightsFile) // which stands for no field, too
		})
	})
	findings = slices.Concat(more, findings)
	if isOther {
		findings = append(findings, adapters.Finding{Severity: adapters.Warning, Field: "base", Message: "the adapter " + otherBase})
	}
	return findings, nil
}

// putOn loads an adapter on a base, and tells whether it was trained on another.
func putOn(base *predict.Base, a *hfio.Adapter) (isOther bool, err error) {
	model, err := base.ModelFor(a)
	if err != nil {
		return false, err
	}
	tuned, err := adapters.FromFile(a, model)
	if err != nil {
		return false, err
	}
	return predict.IsOtherBase(tuned.Info, model.Backbone)
}

func printFindings(w io.Writer, findings []adapters.Finding) error {
	t := newTable(w)
	for _, f := range findings {
		t.row(string(f.Severity), f.Field, f.Message)
	}
	return t.flush()
}
