// Command digits reads a handwritten digit.
//
//	go run modelc/examples/digits testdata/digits/3_0.png
package main

import (
	"fmt"
	"log"
	"os"

	"modelc/examples/digits/lenet5"
	"modelc/runtime/vision"
)

//go:generate go run modelc/cmd/modelc compile ../../testdata/digits/lenet5.onnx -o lenet5 --preprocess unit

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: digits IMAGE.png")
	}
	digit, p, err := read(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d (%.1f %%)\n", digit, 100*p)
}

// read returns the digit on a picture, white on black, and how sure the
// network is.
func read(path string) (digit int, probability float32, err error) {
	img, err := vision.Open(path)
	if err != nil {
		return 0, 0, err
	}
	m, err := lenet5.New()
	if err != nil {
		return 0, 0, err
	}
	s := m.NewSession(lenet5.Threads(1))
	defer s.Close()
	classes, err := s.Predict(img)
	if err != nil {
		return 0, 0, err
	}
	return classes[0].Index, classes[0].Score, nil
}
