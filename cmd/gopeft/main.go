// Command gopeft trains, runs, inspects and converts PEFT soft-prompt adapters.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/gopeft/gopeft/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Run(ctx, os.Args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(status)
}
