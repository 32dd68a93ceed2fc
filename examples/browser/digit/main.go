//go:build js && wasm

// Command digit recognises drawn digits in a web worker.
package main

import (
	"image"

	"modelc/runtime/vision"

	"example.com/browser/digits"
	"example.com/browser/drawing"
	"example.com/browser/worker"
)

func main() {
	m, err := digits.New()
	if err != nil {
		worker.Fail(err)
		return
	}
	s := m.NewSession()
	worker.Serve(func(img image.Image) ([]vision.Class, error) {
		img, err := drawing.Fit(img)
		if err != nil {
			return nil, err
		}
		return s.Predict(img)
	})
}
