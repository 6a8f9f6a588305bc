package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
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
	isError := func(f adapters.Finding) bool { return f.Severity == adapters.Error }
	if slices.ContainsFunc(findings, isError) {
		return findings, nil
	}
	// Sizes fit: putting it on the base checks the head too.
	model, err := base.ModelFor(a)
	if err != nil {
		return append(findings, loadFindings(err)...), nil
	}
	tuned, err := adapters.FromFile(a, model)
	if err != nil {
		return append(findings, loadFindings(err)...), nil
	}
	isOther, err := predict.IsOtherBase(tuned.Info, model.Backbone)
	if isOther {
		findings = append(findings, adapters.Finding{Severity: adapters.Warning, Field: "base", Message: "the adapter " + otherBase})
	}
	return findings, err
}

// loadFindings lists the differences of a misfit one by one.
func loadFindings(err error) []adapters.Finding {
	var misfit *adapters.MismatchError
	switch {
	case errors.As(err, &misfit):
		var findings []adapters.Finding
		for _, m := range misfit.Mismatches {
			findings = append(findings, adapters.Finding{Severity: adapters.Error, Field: m.Field, Message: m.String()})
		}
		return findings
	case errors.Is(err, models.ErrUnsupportedTask):
		return []adapters.Finding{{Severity: adapters.Error, Field: "task_type", Message: err.Error()}}
	}
	return []adapters.Finding{{Severity: adapters.Error, Message: err.Error()}}
}

func printFindings(w io.Writer, findings []adapters.Finding) error {
	t := newTable(w)
	for _, f := range findings {
		t.row(string(f.Severity), f.Field, f.Message)
	}
	return t.flush()
}
