package beam

import (
	"crypto/sha256"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
)

// Tally is a count of lines, and a digest that does not depend on their order: the
// sums, modulo 256, of the bytes of the lines' SHA-256.
type Tally struct {
	Count  int64
	Digest []byte
}

func init() {
	register.Combiner2[Tally, string](&tallyFn{})
}

// Count returns the [Tally] of lines, which are strings: one element, or none if
// there are no lines.
func Count(s beam.Scope, lines beam.PCollection) beam.PCollection {
	return beam.Combine(s.Scope("modelc.Count"), &tallyFn{}, lines)
}

// Add returns the tally with another line.
func (t Tally) Add(line string) Tally {
	sum := sha256.Sum256([]byte(line))
	return t.merge(Tally{1, sum[:]})
}

func (t Tally) merge(u Tally) Tally {
	out := Tally{t.Count + u.Count, make([]byte, sha256.Size)}
	for _, d := range [][]byte{t.Digest, u.Digest} {
		for i, b := range d {
			out.Digest[i] += b
		}
	}
	return out
}

type tallyFn struct{}

func (*tallyFn) CreateAccumulator() Tally            { return Tally{} }
func (*tallyFn) AddInput(t Tally, line string) Tally { return t.Add(line) }
func (*tallyFn) MergeAccumulators(t, u Tally) Tally  { return t.merge(u) }
func (*tallyFn) ExtractOutput(t Tally) Tally         { return t }
