package cli_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/gopeft/gopeft/cli"
)

// TestInterruptedInput interrupts a command that waits for a silent standard input.
func TestInterruptedInput(t *testing.T) {
	base := tinyBase(t, "../compat_test/testdata/goldens/SEQ_CLS/base")
	silent, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int)
	var out, errs bytes.Buffer
	go func() {
		ended <- cli.Run(ctx, []string{"gopeft", "tokenize", "--tokenizer", base}, cli.Streams{In: silent, Out: &out, Err: &errs})
	}()
	if _, err := io.WriteString(writer, "a good"); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case status := <-ended:
		if status != cli.StatusInterrupted {
			t.Errorf("found status %d, want %d: %s", status, cli.StatusInterrupted, errs.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the command did not end")
	}
}
