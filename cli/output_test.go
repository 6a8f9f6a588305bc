package cli_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/cli"
)

// full is a disk with no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A command whose results cannot be written fails and says why.
func TestFullOutput(t *testing.T) {
	for _, line := range []string{
		"generate --max-new-tokens 2 horse",
		"generate --max-new-tokens 2 --json horse",
		"generate --max-new-tokens 2 --input -",
		"tokenize --tokenizer gopeft/gloss-llama",
		"inspect gopeft/gloss-llama",
		"--help",
	} {
		var errs bytes.Buffer
		streams := cli.Streams{In: strings.NewReader("horse\n"), Out: full{}, Err: &errs}
		status := cli.Run(context.Background(), append([]string{"gopeft"}, strings.Fields(line)...), streams)
		if status != cli.StatusFailed || !strings.Contains(errs.String(), "no space left on device") {
			t.Errorf("%s: status %d, %q, want %d and the error", line, status, errs.String(), cli.StatusFailed)
		}
	}
}
