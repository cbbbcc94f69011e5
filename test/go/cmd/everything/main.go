// Command everything is a plugin that serves Everything, or, with the argument
// "decoy", Decoy.
package main

import (
	"fmt"
	"os"

	"bun-plug.test/go/internal/everything"
	"bun-plug.test/go/interop"
)

type decoy struct{}

func (decoy) Name(suffix string) (string, error) { return "decoy " + suffix, nil }

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "decoy" {
		err = interop.RunDecoy(decoy{})
	} else {
		err = interop.RunEverything(&everything.Handler{})
	}
	// Only a start can fail: Run never returns after the handshake. Not on
	// stdout, as the original's examples have it: that belongs to the frames.
	if err != nil {
		fmt.Fprintln(os.Stderr, "everything:", err)
		os.Exit(1)
	}
}
