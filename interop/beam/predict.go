package beam

import (
	"bytes"
	"context"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"modelc/runtime"
	"modelc/runtime/vision"
)

// Image is a PNG or JPEG file.
type Image struct {
	File string // path or any other name
	Data []byte
}

// Class is an answer of the network.
type Class struct {
	Index int     `json:"index"`
	Name  string  `json:"name"`
	Score float32 `json:"score"`
}

// Result holds the classes of an image, best first.
type Result struct {
	File    string  `json:"file"`
	Classes []Class `json:"classes"`
}

// Failure is an image without a result.
type Failure struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// Options configures [Predict].
type Options struct {
	// Weights is the path of a file of weights, in any filesystem of Beam. If it
	// is empty, the weights in the program are used.
	Weights string
	// Batch is the maximum number of images that are computed at a time; 0 means
	// 64. A bundle holds that number of encoded images in memory.
	Batch int
}

func init() {
	register.DoFn4x1[context.Context, Image, func(Result), func(Failure), error](&predictFn{})
	register.Emitter1[Result]()
	register.Emitter1[Failure]()
}

// Predict classifies images, elements of type [Image], with the registered network.
// It returns the results, of type [Result], and the images that cannot be
// classified, of type [Failure]. It reports the metrics images, errors, latency_us
// (a distribution, of one image with decoding) and images_DIGEST (computed with the
// model of this digest) in the namespace modelc.
func Predict(s beam.Scope, network string, o Options, images beam.PCollection) (results, failures beam.PCollection) {
	if o.Batch <= 0 {
		o.Batch = 64
	}
	return beam.ParDo2(s.Scope("modelc.Predict"), &predictFn{Network: network, Weights: o.Weights, Batch: o.Batch}, images)
}

type predictFn struct {
	Network string
	Weights string
	Batch   int

	key     poolKey
	pool    *pool
	pending []Image
}

// Setup opens the network.
func (f *predictFn) Setup(ctx context.Context) error {
	weights, err := local(ctx, f.Weights)
	if err != nil {
		return err
	}
	f.key = poolKey{f.Network, weights}
	f.pool, err = acquire(f.key)
	return err
}

// Teardown releases the network.
func (f *predictFn) Teardown() error {
	if f.pool != nil {
		release(f.key)
	}
	f.pool = nil
	return nil
}

// StartBundle forgets the images of a bundle that failed.
func (f *predictFn) StartBundle(context.Context, func(Result), func(Failure)) { f.pending = nil }

// ProcessElement computes a batch when it is full.
func (f *predictFn) ProcessElement(ctx context.Context, img Image, results func(Result), failures func(Failure)) error {
	f.pending = append(f.pending, img)
	if len(f.pending) >= f.Batch {
		f.flush(ctx, results, failures)
	}
	return nil
}

// FinishBundle computes the last batch.
func (f *predictFn) FinishBundle(ctx context.Context, results func(Result), failures func(Failure)) {
	f.flush(ctx, results, failures)
}

var (
	imageCount = beam.NewCounter("modelc", "images")
	errorCount = beam.NewCounter("modelc", "errors")
	latency    = beam.NewDistribution("modelc", "latency_us")
)

// flush computes the pending images, several at a time.
func (f *predictFn) flush(ctx context.Context, results func(Result), failures func(Failure)) {
	n := len(f.pending)
	if n == 0 {
		return
	}
	classes, took := make([][]Class, n), make([]time.Duration, n)
	errs := runtime.RunAll(n, cap(f.pool.sessions), func() (run func(i int) error, close func()) {
		s := <-f.pool.sessions
		return func(i int) error {
			start := time.Now()
			var err error
			classes[i], err = classify(s, f.pending[i].Data)
			took[i] = time.Since(start)
			return err
		}, func() { f.pool.sessions <- s }
	})
	for i, img := range f.pending {
		imageCount.Inc(ctx, 1)
		latency.Update(ctx, took[i].Microseconds())
		if errs[i] != nil {
			errorCount.Inc(ctx, 1)
			failures(Failure{img.File, errs[i].Error()})
			continue
		}
		results(Result{img.File, classes[i]})
	}
	beam.NewCounter("modelc", "images_"+networks[f.Network].Digest).Inc(ctx, int64(n))
	f.pending = f.pending[:0]
}

func classify(s Session, file []byte) ([]Class, error) {
	img, err := vision.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	answer, err := s.Predict(img)
	if err != nil {
		return nil, err
	}
	classes := make([]Class, len(answer))
	for i, c := range answer {
		classes[i] = Class{c.Index, c.Name, c.Score}
	}
	return classes, nil
}
