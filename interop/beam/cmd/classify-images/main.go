// Command classify-images classifies the pictures in files, on any runner of Apache
// Beam. docs/scaling.md describes how to run it on an engine.
//
//	go run ./cmd/classify-images --input 'dir/*.jpg' --output out.jsonl
//
// The output is JSON Lines, or Parquet if its name ends in .parquet. Pictures
// without a result are in the file with .errors added to the name, with the reason.
// The file with .summary.json added counts matched files, results and failures.
// The program fails if a file was lost.
//
// The network is package digits, which `go generate` makes from a trained model. To
// use another model, change the go:generate line below.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/s3"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/parquetio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/textio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	modelc "modelc/interop/beam"
	"modelc/interop/beam/digits"
)

//go:generate go tool modelc compile ../../../../testdata/digits/lenet5.onnx -o ../../digits --preprocess unit --labels labels.txt

// digest is the SHA-256 of the model, as in the header of package digits.
const digest = "d2ed54eaae6fbdda41ceff4b87346c32288c8cd0cba8cfa8edb7574f9c19a5af"

func init() {
	modelc.Register("digits", modelc.Network{
		Digest: digest,
		Open: func(weights string) (func() modelc.Session, error) {
			m, err := digits.New()
			if weights != "" {
				m, err = digits.WithWeights(weights)
			}
			if err != nil {
				return nil, err
			}
			return func() modelc.Session { return m.NewSession(digits.Threads(1)) }, nil
		},
	})
	register.Function1x2(resultLine)
	register.Function1x2(failureLine)
	register.Function1x1(rowOf)
	register.DoFn5x1[context.Context, []byte, func(*modelc.Tally) bool, func(*modelc.Tally) bool, func(*modelc.Tally) bool, error](&summaryFn{})
	register.Iter1[modelc.Tally]()
}

var (
	input   = flag.String("input", "", "files to read: `patterns` separated by commas, in any filesystem of Beam")
	output  = flag.String("output", "", "`file` to write: .jsonl or .parquet")
	weights = flag.String("weights", "", "`file` of the weights, which every worker opens or copies; the default is the weights in the program")
	batch   = flag.Int("batch", 64, "maximum `number` of pictures that are computed at a time")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	beam.Init() // does not return in a worker
	if *input == "" || *output == "" || flag.NArg() > 0 {
		log.Fatal("usage: classify-images --input PATTERNS --output FILE [flags]")
	}
	ctx := context.Background()
	p, s := beam.NewPipelineWithRoot()
	pipeline(s, "digits", strings.Split(*input, ","), *output, modelc.Options{Weights: *weights, Batch: *batch})
	if err := beamx.Run(ctx, p); err != nil {
		log.Fatal("classify-images: ", err)
	}
	sum, err := readSummary(ctx, *output)
	if err != nil {
		log.Fatal("classify-images: ", err)
	}
	fmt.Printf("%d files, %d results, %d failures, digest of the results %s\n", sum.Files, sum.Results, sum.Failures, sum.Digest)
}

// pipeline classifies the files that match patterns with a registered network.
func pipeline(s beam.Scope, network string, patterns []string, output string, o modelc.Options) {
	paths, images, unread := modelc.Read(s, patterns)
	results, failures := modelc.Predict(s, network, o, images)
	lines := beam.ParDo(s, resultLine, results)
	errs := beam.ParDo(s, failureLine, beam.Flatten(s, unread, failures))
	if strings.HasSuffix(output, ".parquet") {
		parquetio.Write(s, output, beam.ParDo(s, rowOf, results))
	} else {
		textio.Write(s, output, lines)
	}
	textio.Write(s, output+".errors", errs)
	beam.ParDo0(s, &summaryFn{output + ".summary.json"}, beam.Impulse(s),
		beam.SideInput{Input: modelc.Count(s, paths)}, beam.SideInput{Input: modelc.Count(s, lines)}, beam.SideInput{Input: modelc.Count(s, errs)})
}

func resultLine(r modelc.Result) (string, error) {
	b, err := json.Marshal(r)
	return string(b), err
}

func failureLine(f modelc.Failure) (string, error) {
	b, err := json.Marshal(f)
	return string(b), err
}

// row is a result in a Parquet file: the best class.
type row struct {
	File  string  `parquet:"name=file, type=BYTE_ARRAY, convertedtype=UTF8"`
	Index int32   `parquet:"name=index, type=INT32"`
	Name  string  `parquet:"name=name, type=BYTE_ARRAY, convertedtype=UTF8"`
	Score float32 `parquet:"name=score, type=FLOAT"`
}

func rowOf(r modelc.Result) row {
	best := r.Classes[0]
	return row{r.File, int32(best.Index), best.Name, best.Score}
}

// summary proves that nothing was lost: Files is the sum of Results and Failures.
type summary struct {
	Files    int64  `json:"files"`
	Results  int64  `json:"results"`
	Failures int64  `json:"failures"`
	Digest   string `json:"digest"` // of the results, in hexadecimal
}

// summaryFn writes the summary.
type summaryFn struct{ Path string }

func (f *summaryFn) ProcessElement(ctx context.Context, _ []byte, paths, results, failures func(*modelc.Tally) bool) error {
	var s summary
	var t modelc.Tally
	if paths(&t) {
		s.Files = t.Count
	}
	if results(&t) {
		s.Results, s.Digest = t.Count, hex.EncodeToString(t.Digest)
	}
	if failures(&t) {
		s.Failures = t.Count
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	fs, err := filesystem.New(ctx, f.Path)
	if err != nil {
		return err
	}
	defer fs.Close()
	return filesystem.Write(ctx, fs, f.Path, b)
}

// readSummary reads the summary of an output and checks it.
func readSummary(ctx context.Context, output string) (s summary, err error) {
	path := output + ".summary.json"
	fs, err := filesystem.New(ctx, path)
	if err != nil {
		return s, err
	}
	defer fs.Close()
	b, err := filesystem.Read(ctx, fs, path)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	if s.Files != s.Results+s.Failures {
		return s, fmt.Errorf("%s: %d files became %d results and %d failures: %w", path, s.Files, s.Results, s.Failures, errLost)
	}
	return s, nil
}

var errLost = errors.New("files were lost or counted twice")
