package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(runMain()) }

// runMain exists so that deferred calls run before the process exits.
func runMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal cancels; with the handler gone, the second one kills.
	context.AfterFunc(ctx, stop)
	return newApp(os.Stdout, os.Stderr).run(ctx, os.Args[1:])
}
