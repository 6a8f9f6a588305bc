package cli

import (
	"errors"
	"fmt"
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

// checkPlot makes sure before the run that the picture can be written after it.
func checkPlot(path string) error {
	if path == "" {
		return nil
	}
	if ext := filepath.Ext(path); ext != ".png" && ext != ".svg" {
		return usagef("--plot: found %q, want a name that ends in .png or .svg", path)
	}
	if _, err := openDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	return nil
}

func openReports(c *cli.Context) (*reports, error) {
	r := &reports{plot: c.String("plot")}
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
