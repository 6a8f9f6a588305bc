package cli

import (
	"errors"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/train"
	"github.com/gopeft/gopeft/train/report"
)

// reports are the picture and the TensorBoard file that were asked for.
type reports struct {
	history report.History
	plot    string              // "": none
	board   *report.TensorBoard // nil: none
	err     error               // the first of the board's; it does not stop the run
}

// openReports checks what was asked for before the run, so that it does not fail after it.
func openReports(c *cli.Context) (*reports, error) {
	r := &reports{plot: c.String("plot")}
	switch filepath.Ext(r.plot) {
	case "", ".png", ".svg":
	default:
		return nil, usagef("--plot: found %q, want a name that ends in .png or .svg", r.plot)
	}
	if dir := c.String("tensorboard"); dir != "" {
		board, err := report.NewTensorBoard(dir)
		if err != nil {
			return nil, err
		}
		r.board = board
	}
	return r, nil
}

func (r *reports) event(e train.Event) {
	r.history.Add(e)
	if r.board != nil && r.err == nil {
		r.err = r.board.Add(e)
	}
}

// close draws the picture and closes the file. A run that was interrupted before its
// first step has nothing to draw.
func (r *reports) close() error {
	err := r.err
	if r.plot != "" {
		if plotErr := r.history.Save(r.plot); !errors.Is(plotErr, report.ErrEmpty) {
			err = errors.Join(err, plotErr)
		}
	}
	if r.board != nil {
		err = errors.Join(err, r.board.Close())
	}
	return err
}
