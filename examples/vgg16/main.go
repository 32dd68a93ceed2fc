// Command vgg16 classifies pictures with a trained Keras network. It is the Go
// version of the session with VGG16 that courses show. Comments give the Keras
// function for each step.
//
//	go run . vgg16.h5 photo.jpg
//
// prints the five best classes of ImageNet. To save the model, run
//
//	keras.applications.VGG16().save("vgg16.h5")
//
// in Python. Other classifiers work too: MobileNet needs -preprocess tf, and the
// networks of testdata/keras need -preprocess unit -labels "".
//
// The model is compiled in memory, which takes seconds for VGG16. A program for
// production should use a package made by `modelc compile` instead: see
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
	mode := flag.String("preprocess", "caffe", "`mode` of preprocess_input: caffe, tf or torch; or unit (x/255), or none")
	labels := flag.String("labels", "imagenet", "imagenet, or a `file` with the names of the classes; if empty, print class numbers")
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

// predict prints the best classes of each picture.
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

	// For mode caffe and a model with input (224, 224, 3): resize to 224×224,
	// convert to BGR, subtract the mean colour of ImageNet.
	prepare, err := network.Preprocess(mode)
	if err != nil {
		return err
	}
	prepare.Filter = vision.Nearest // the default of load_img
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
