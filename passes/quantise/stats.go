package quantise

import (
	"fmt"
	"math"

	"modelc/ir"
)

// Stats has what was measured about a tensor in examples.
type Stats struct {
	Min, Max float64 // the smallest and the largest element

	examples int
	sums     []float64 // of each element over the examples; nil unless they are needed

	bins  []float64 // the number of elements other than 0 in equal parts of the range
	zeros float64
}

// Add measures the range of t, and the mean of each element if the plan needs it. Axis 0 counts
// examples. It fails if an element is not finite.
func (s *Stats) Add(t *ir.Tensor) error {
	x := t.Float32s()
	n := max(1, len(s.sums))
	for i, v := range x {
		f := float64(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("it has an element that is %g", f)
		}
		s.Min, s.Max = min(s.Min, f), max(s.Max, f)
		if s.sums != nil {
			s.sums[i%n] += f
		}
	}
	s.examples += t.Shape[0]
	return nil
}

// means returns the mean of each element.
func (s *Stats) means() []float64 {
	m := make([]float64, len(s.sums))
	for i, sum := range s.sums {
		m[i] = sum / float64(max(s.examples, 1))
	}
	return m
}

// numBins is the number of bins of a histogram.
const numBins = 2048

// Count adds the elements of t to the histogram. All examples must have been measured with
// Add before.
func (s *Stats) Count(t *ir.Tensor) {
	if s.bins == nil {
		s.bins = make([]float64, numBins)
	}
	if !(s.Min < s.Max) {
		return
	}
	scale := numBins / (s.Max - s.Min)
	for _, v := range t.Float32s() {
		if v == 0 {
			s.zeros++
			continue
		}
		s.bins[min(int((float64(v)-s.Min)*scale), numBins-1)]++
	}
}

// edge returns the lower edge of bin i.
func (s *Stats) edge(i int) float64 { return s.Min + (s.Max-s.Min)*float64(i)/numBins }

// Method selects the range of a tensor.
type Method struct {
	Kind Kind
	// Percentile is, for Percentile, the part of the elements inside the range, from 50
	// to 100.
	Percentile float64
}

// Kind is a kind of calibration.
type Kind uint8

// The kinds of calibration.
const (
	MinMax     Kind = iota // all elements
	Percentile             // most elements: half of the others lie on each side
	Entropy                // the range whose quantised histogram has the least divergence from the exact one
)

// Passes returns the number of times that the examples must be run: for Add, and for Count.
func (m Method) Passes() int {
	if m.Kind == MinMax {
		return 1
	}
	return 2
}

// bounds returns the range that the method selects.
func (m Method) bounds(s *Stats) (lo, hi float64) {
	lo, hi = s.Min, s.Max
	if s.bins == nil || !(lo < hi) {
		return lo, hi
	}
	switch m.Kind {
	case Percentile:
		return s.percentile(m.Percentile)
	case Entropy:
		return s.entropy()
	}
	return lo, hi
}

func (s *Stats) percentile(p float64) (lo, hi float64) {
	bins := append([]float64(nil), s.bins...)
	if at := int(-s.Min / (s.Max - s.Min) * numBins); at >= 0 && at <= numBins {
		bins[min(at, numBins-1)] += s.zeros
	}
	total := 0.0
	for _, n := range bins {
		total += n
	}
	outside := total * (1 - p/100) / 2
	cut := func(from, step int) int {
		left := outside
		i := from
		for ; i >= 0 && i < numBins && left >= bins[i]; i += step {
			left -= bins[i]
		}
		return i
	}
	return s.edge(cut(0, 1)), s.edge(cut(numBins-1, -1) + 1)
}

// levels is the number of integers that a range is divided into.
const levels = 256

// entropy tries ranges of different size around zero. It compares the histogram inside each
// range, with the elements outside at its ends, with the same histogram in 256 levels, by the
// divergence of Kullback and Leibler (S. Migacz, 8-bit Inference with TensorRT, 2017). Zeros do
// not count, because every range represents them exactly. Ranges that cut more than a
// thousandth of the elements are not tried: if many elements have the same value, as in the
// background of pictures, the divergence prefers much too narrow ranges.
func (s *Stats) entropy() (lo, hi float64) {
	const step, mostCut = 8, 0.001
	sums := make([]float64, numBins+1) // of the bins below each edge
	for i, n := range s.bins {
		sums[i+1] = sums[i] + n
	}
	centre := min(max(-s.Min/(s.Max-s.Min)*numBins, 0), numBins)
	lo, hi = s.Min, s.Max
	best := math.Inf(1)
	for reach := float64(step); ; reach += step {
		from, to := int(max(centre-reach, 0)), int(min(math.Ceil(centre+reach), numBins))
		all := from == 0 && to == numBins
		if !all && (to-from < levels || sums[to]-sums[from] < (1-mostCut)*sums[numBins]) {
			continue
		}
		if d := divergence(s.bins, from, to); d < best {
			best, lo, hi = d, s.edge(from), s.edge(to)
		}
		if all {
			return lo, hi
		}
	}
}

// divergence returns the Kullback-Leibler divergence of the bins from–to in levels from the
// clipped histogram.
func divergence(bins []float64, from, to int) float64 {
	n := to - from
	clipped := append([]float64(nil), bins[from:to]...)
	for i, x := range bins {
		switch {
		case i < from:
			clipped[0] += x
		case i >= to:
			clipped[n-1] += x
		}
	}
	coarse := make([]float64, n)
	usedLevels, usedBins := 0, 0
	for l := range levels {
		a, b := l*n/levels, (l+1)*n/levels
		sum, used := 0.0, 0
		for i := a; i < b; i++ {
			sum += bins[from+i]
			if clipped[i] > 0 {
				used++
			}
		}
		if used > 0 {
			usedLevels++
			usedBins += used
		}
		for i := a; i < b; i++ {
			if clipped[i] > 0 {
				coarse[i] = sum / float64(used)
			}
		}
	}
	total, all := 0.0, 0.0
	for i := range clipped {
		total += clipped[i]
		all += coarse[i]
	}
	if total == 0 || all == 0 {
		return math.Inf(1)
	}
	const least = 1e-9 // in place of a probability of zero
	d := 0.0
	for i, p := range clipped {
		if p > 0 {
			d += p / total * math.Log(p/total/max(coarse[i]/all, least))
		}
	}
	// The bias of the divergence of few elements (G. Miller, 1955).
	return d - float64(usedBins-usedLevels)/(2*total)
}
