package cli

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/train"
)

// reportListeners returns what writes the reports that were asked for, and what
// finishes them.
func reportListeners(c *cli.Context) (listeners []func(train.Event), finish func() error, err error) {
	return nil, func() error { return errors.Join() }, nil
}
