// Command classify classifies pictures of handwritten digits.
//
//	go run . ../../testdata/digits/3_0.png ../../testdata/digits/7_0.png
//
// The network is package digits, which `go generate` makes from a trained model. To
// use another model, change the go:generate line below. The rest of the program
// does not depend on the model.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"modelc/runtime/vision"

	"example.com/classify/digits"
)

//go:generate go tool modelc compile ../../testdata/digits/lenet5.onnx -o digits --preprocess unit --labels labels.txt

// The exit codes: 1 if a picture could not be classified, 2 if the command line is
// wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("classify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	top := flags.Int("top", 3, "how many classes to print, at most the five that Predict returns")
	asJSON := flags.Bool("json", false, "print one JSON object per picture")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: classify [flags] PICTURE …")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return exitUsage
	}
	if flags.NArg() == 0 || *top < 1 {
		flags.Usage()
		return exitUsage
	}
	model, err := digits.New()
	if err != nil {
		fmt.Fprintln(stderr, "classify:", err)
		return exitFailed
	}
	session := model.NewSession()
	defer session.Close()

	// An error in one picture does not prevent the others from being classified.
	var answers []answer
	code := 0
	for _, path := range flags.Args() {
		a, err := classify(session, path, *top)
		if err != nil {
			fmt.Fprintln(stderr, "classify:", err)
			code = exitFailed
			continue
		}
		answers = append(answers, a)
	}
	show := table
	if *asJSON {
		show = lines
	}
	if err := show(stdout, answers); err != nil {
		fmt.Fprintln(stderr, "classify:", err)
		return exitFailed
	}
	return code
}

// answer is the result for one picture.
type answer struct {
	File    string  `json:"file"`
	Classes []class `json:"classes"` // best first
}

type class struct {
	Index int     `json:"index"`
	Name  string  `json:"name"`
	Score float32 `json:"score"`
}

// classify returns the best classes of the PNG or JPEG file at path.
func classify(s *digits.Session, path string, top int) (answer, error) {
	a := answer{File: path}
	img, err := vision.Open(path)
	if err != nil {
		return a, err
	}
	classes, err := s.Predict(img)
	if err != nil {
		return a, fmt.Errorf("%s: %w", path, err)
	}
	for _, c := range classes[:min(top, len(classes))] {
		a.Classes = append(a.Classes, class{c.Index, c.Name, c.Score})
	}
	return a, nil
}

// table writes a row per picture: the file, then names and scores.
func table(w io.Writer, answers []answer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, a := range answers {
		fmt.Fprint(t, a.File)
		for _, c := range a.Classes {
			fmt.Fprintf(t, "\t%s %.1f %%", c.Name, 100*c.Score)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// lines writes a JSON object per picture, one per line.
func lines(w io.Writer, answers []answer) error {
	e := json.NewEncoder(w)
	for _, a := range answers {
		if err := e.Encode(a); err != nil {
			return err
		}
	}
	return nil
}
