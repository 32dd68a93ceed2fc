// Command rename changes the path of this module, which go.mod states. Run it in the root of
// the module:
//
//	go run ./internal/rename example.org/x/modelc
//
// It rewrites the go.mod files of the module and of the modules below it. It rewrites imports
// in all Go files, including generated packages, and import paths in all other text:
// lines of go:generate, comments, documentation and scripts. To undo the change, run it with the
// old path.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/rename PATH")
		os.Exit(2)
	}
	n, err := rename(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
	fmt.Printf("rename: %d files changed\n", n)
}
