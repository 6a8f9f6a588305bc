package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/train"
)

// dataFlags say how a data file is read.
func dataFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "format", Usage: "csv, tsv, jsonl, parquet, labelled (LABEL text), text (one a line) or conll (default: by the file's name)"},
		&cli.StringFlag{Name: "header", Usage: "whether the first line of a CSV or TSV file names the columns: yes or no", DefaultText: "guessed"},
		&cli.StringSliceFlag{Name: "column", Usage: "ROLE=COLUMN, a name or a number from 0; roles: text, pair, label, words, tags, answers, target, messages, task", DefaultText: "guessed"},
		&cli.StringFlag{Name: "label-separator", Usage: `cut labels before it: ":" makes HUM of HUM:ind`},
	}
}

// dataOptions reads dataFlags.
func dataOptions(c *cli.Context, task models.Task, problemType string, labels []string, method hfio.PeftType) (*train.DataOptions, error) {
	opts := &train.DataOptions{
		Task: task, ProblemType: problemType, Labels: labels,
		Format:         train.Format(c.String("format")),
		LabelSeparator: c.String("label-separator"),
		Columns:        map[string]string{},
		Tasks:          method == hfio.MultitaskPromptTuning,
	}
	switch {
	case !c.IsSet("label-separator"):
	case opts.LabelSeparator == "":
		return nil, usagef("--label-separator is empty")
	case problemType == models.Regression:
		return nil, usagef("--label-separator: not an option of a regression, whose labels are numbers")
	case task != models.SeqCls && task != models.TokenCls:
		return nil, usagef("--label-separator: not an option of %s, which has no labels, want it with %s and %s only", task, models.SeqCls, models.TokenCls)
	}
	switch c.String("header") {
	case "":
	case "yes":
		opts.Header = train.WithHeader
	case "no":
		opts.Header = train.NoHeader
	default:
		return nil, usagef("--header: found %q, want yes or no", c.String("header"))
	}
	for _, mapping := range c.StringSlice("column") {
		role, column, ok := strings.Cut(mapping, "=")
		if !ok {
			return nil, usagef("--column: found %q, want ROLE=COLUMN", mapping)
		}
		opts.Columns[role] = column
	}
	return opts, nil
}

// readData reads a data file. Where no column is found for a role the error says how to name one.
func readData(path string, opts *train.DataOptions) (*train.Data, error) {
	data, err := train.ReadFile(path, opts)
	return data, mapErrors(err, func(err error) error {
		var wrong *train.DataError
		if !errors.As(err, &wrong) || wrong.Role == "" {
			return err
		}
		named := *wrong
		named.Want = "its name or number: --column " + shellLine([]string{wrong.Role + "=NAME"})
		return &named
	})
}

// checkCut reports --label-separator where no label of a file holds it.
func checkCut(c *cli.Context, path string, data *train.Data) error {
	if c.IsSet("label-separator") && data.Cut == 0 {
		return usagef("--label-separator: no label of %s holds %q", path, c.String("label-separator"))
	}
	return nil
}

// describeData says what was read, so that a wrong guess is seen.
func describeData(path string, data *train.Data) string {
	text := fmt.Sprintf("%s: %d examples", path, len(data.Examples))
	for _, role := range slices.Sorted(maps.Keys(data.Columns)) {
		text += fmt.Sprintf(", %s from column %s", role, data.Columns[role])
	}
	if tasks := data.Tasks(); tasks > 1 {
		text += fmt.Sprintf("; %d tasks", tasks)
	}
	if len(data.Labels) > 0 {
		shown := data.Labels
		if len(shown) > 12 {
			shown = append(slices.Clone(shown[:12]), "…")
		}
		text += fmt.Sprintf("; %d labels: %s", len(data.Labels), strings.Join(shown, ", "))
	}
	if data.Unreadable > 0 {
		text += fmt.Sprintf("; %d examples hold bytes that are not UTF-8", data.Unreadable)
	}
	return text
}
