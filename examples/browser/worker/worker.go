//go:build js && wasm

// Package worker connects a network with the JavaScript of a web worker,
// page/worker.js.
package worker

import (
	"bytes"
	"encoding/json"
	"image"
	"syscall/js"
	"time"

	"modelc/runtime/vision"
)

// answer is the result for one picture, as JSON.
type answer struct {
	Classes []class `json:"classes,omitempty"` // best first
	Decode  float64 `json:"decode"`            // time to decode the picture, in ms
	Predict float64 `json:"predict"`           // time of predict, in ms
	Error   string  `json:"error,omitempty"`
}

type class struct {
	Index int     `json:"index"`
	Name  string  `json:"name"`
	Score float32 `json:"score"`
}

// Serve gives the worker the function classify, which takes the bytes of a PNG or
// JPEG file as a Uint8Array and returns an answer, and calls the worker's function
// ready. It does not return.
func Serve(predict func(image.Image) ([]vision.Class, error)) {
	js.Global().Set("classify", js.FuncOf(func(_ js.Value, args []js.Value) any {
		file := make([]byte, args[0].Length())
		js.CopyBytesToGo(file, args[0])
		a, err := classify(file, predict)
		if err != nil {
			a.Error = err.Error()
		}
		text, err := json.Marshal(a)
		if err != nil { // a score is not a number
			text, _ = json.Marshal(answer{Error: err.Error()})
		}
		return string(text)
	}))
	js.Global().Call("ready")
	select {}
}

// Fail reports that the network could not be loaded.
func Fail(err error) { js.Global().Call("failed", err.Error()) }

func classify(file []byte, predict func(image.Image) ([]vision.Class, error)) (a answer, err error) {
	start := time.Now()
	img, err := vision.Decode(bytes.NewReader(file))
	a.Decode = ms(time.Since(start))
	if err != nil {
		return a, err
	}
	start = time.Now()
	classes, err := predict(img)
	a.Predict = ms(time.Since(start))
	if err != nil {
		return a, err
	}
	for _, c := range classes {
		a.Classes = append(a.Classes, class{c.Index, c.Name, c.Score})
	}
	return a, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
