package beam

import (
	"context"
	"fmt"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/fileio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
)

// maxBytes is the maximum size of a file; [vision.Decode] refuses larger ones.
const maxBytes = 256 << 20

func init() {
	register.DoFn4x1[context.Context, fileio.ReadableFile, func(Image), func(Failure), error](&readFn{})
	register.Function1x1(pathOf)
	register.Emitter1[Image]()
}

// Read reads the files that match patterns in any filesystem of Beam. It returns
// their paths, strings; the files, of type [Image]; and the files that cannot be
// read, of type [Failure]. A pattern that matches nothing is an error. The runner
// may distribute the paths again before the files are read.
func Read(s beam.Scope, patterns []string) (paths, images, failures beam.PCollection) {
	s = s.Scope("modelc.Read")
	matches := beam.Reshuffle(s, fileio.MatchAll(s, beam.CreateList(s, patterns), fileio.MatchEmptyDisallow()))
	files := fileio.ReadMatches(s, matches, fileio.ReadUncompressed())
	paths = beam.ParDo(s, pathOf, files)
	images, failures = beam.ParDo2(s, &readFn{}, files)
	return paths, images, failures
}

func pathOf(f fileio.ReadableFile) string { return f.Metadata.Path }

type readFn struct{}

func (*readFn) ProcessElement(ctx context.Context, f fileio.ReadableFile, images func(Image), failures func(Failure)) error {
	if f.Metadata.Size > maxBytes {
		failures(Failure{f.Metadata.Path, fmt.Sprintf("the file has more than %d MB", maxBytes>>20)})
		return nil
	}
	b, err := f.Read(ctx)
	if err != nil {
		failures(Failure{f.Metadata.Path, err.Error()})
		return nil
	}
	images(Image{f.Metadata.Path, b})
	return nil
}
