// Command vgg16 asks a trained Keras network what is on a picture: the session
// that courses show with VGG16, from the file to the names, in Go. Keras' word
// for each step stands beside it.
//
//	go run . vgg16.h5 photo.jpg
//
// writes the five best of ImageNet's classes. Save the model once with
//
//	keras.applications.VGG16().save("vgg16.h5")
//
// Any other classifier does as well: MobileNet wants -preprocess tf, the
// networks of testdata/keras -preprocess unit -labels "".
//
// The model is compiled in memory, which takes seconds for VGG16. A program
// that ships has `modelc compile` write a package instead: see
// examples/classify.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"modelc"
	"modelc/backend/inproc"
	"modelc/ir"
	"modelc/runtime/vision"
)

func main() {
	log.SetFlags(0)
	mode := flag.String("preprocess", "caffe", "mode of preprocess_input: caffe, tf, torch; or unit for x/255, none")
	labels := flag.String("labels", "imagenet", "imagenet, or a file with the names of the classes; empty for numbers")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: vgg16 [flags] MODEL PICTURE …")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := predict(os.Stdout, flag.Arg(0), *mode, *labels, flag.Args()[1:]); err != nil {
		log.Fatal(err)
	}
}

// predict writes the best classes of each picture.
func predict(w io.Writer, model, mode, labels string, pictures []string) error {
	network, err := modelc.Compile(model, modelc.Options{}) // load_model
	if err != nil {
		return err
	}
	defer network.Close()
	engine, err := inproc.New(network.Program, 0)
	if err != nil {
		return err
	}
	defer engine.Close()

	// For mode caffe and a model that takes (224, 224, 3): resize to 224×224,
	// put blue first, subtract the mean colour of ImageNet.
	prepare, err := network.Preprocess(mode)
	if err != nil {
		return err
	}
	prepare.Filter = vision.Nearest // load_img's default
	var names []string
	if labels != "" {
		if names, err = network.Labels(labels); err != nil {
			return err
		}
	}

	x := ir.NewTensor(network.Graph.Inputs[0].Type)
	for _, path := range pictures {
		img, err := vision.Open(path) // load_img
		if err != nil {
			return err
		}
		if err := prepare.Apply(x.Float32s(), img); err != nil { // img_to_array, preprocess_input
			return fmt.Errorf("%s: %w", path, err)
		}
		y, err := engine.Run([]*ir.Tensor{x}) // predict
		if err != nil {
			return err
		}
		fmt.Fprintln(w, path)
		for _, class := range vision.Top(y[0].Float32s(), 5, names) { // decode_predictions
			fmt.Fprintf(w, "  %s\n", class)
		}
	}
	return nil
}
