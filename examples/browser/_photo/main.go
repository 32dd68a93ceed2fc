// Command photo classifies photos in a web worker. Package network is made by
// build.go from the model that the command line names, so it is not part of the
// repository.
package main

import (
	"example.com/browser/_photo/network"
	"example.com/browser/worker"
)

func main() {
	m, err := network.New()
	if err != nil {
		worker.Fail(err)
		return
	}
	worker.Serve(m.NewSession().Predict)
}
