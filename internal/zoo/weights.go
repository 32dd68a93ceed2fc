package zoo

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

// tensor is an initialiser: a shape and the distribution of its elements.
type tensor struct {
	name    string
	dims    []int
	trained bool
	fill    distribution
}

func (t tensor) len() int {
	n := 1
	for _, d := range t.dims {
		n *= d
	}
	return n
}

// rows splits t along its first dimension. A row has the weights of one output channel.
func (t tensor) rows() (count, length int) {
	if len(t.dims) == 0 {
		return 1, 1
	}
	return t.dims[0], t.len() / t.dims[0]
}

// distribution describes how elements are drawn.
type distribution struct {
	kind   kind
	lo, hi float32 // uniform: the bounds; constant: lo is the value
	std    float32 // normal: the standard deviation
	centre float32 // normal: the part of each row's mean that is subtracted, 0 to 1
	ints   []int   // int64s: the elements
}

type kind int

const (
	kindConstant kind = iota
	kindUniform
	kindNormal
	kindInt64s
)

func constant(v float64) distribution { return distribution{kind: kindConstant, lo: coarse(v)} }

func uniform(lo, hi float64) distribution {
	return distribution{kind: kindUniform, lo: coarse(lo), hi: coarse(hi)}
}

func normal(std, centre float64) distribution {
	return distribution{kind: kindNormal, std: coarse(std), centre: coarse(centre)}
}

func int64s(v ...int) distribution { return distribution{kind: kindInt64s, ints: v} }

// coarse rounds v to ten bits. The last bit of a moment's estimate depends on whether the machine
// fuses multiplications with additions. After rounding it cannot change a weight.
func coarse(v float64) float32 {
	frac, exp := math.Frexp(v)
	return float32(math.Ldexp(math.Round(frac*1024)/1024, exp))
}

// chunk is the number of elements drawn between two writes. It is large enough to occupy all cores
// and small compared with the model.
const chunk = 1 << 20

// writeData draws the elements of t and writes them as little-endian bytes. Rows are drawn in
// parallel: each row has its own stream of random numbers, which depends on the seed, the tensor's
// name and the row's index. buf is scratch memory, which is returned for the next call.
func (t tensor) writeData(w io.Writer, seed uint64, buf []byte) ([]byte, error) {
	if t.fill.kind == kindInt64s {
		buf = buf[:0]
		for _, v := range t.fill.ints {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
		}
		_, err := w.Write(buf)
		return buf, err
	}
	h := fnv.New64a()
	io.WriteString(h, t.name)
	seed ^= h.Sum64()

	rows, length := t.rows()
	step := max(1, chunk/length)
	for first := 0; first < rows; first += step {
		n := min(step, rows-first)
		if size := 4 * n * length; cap(buf) < size {
			buf = make([]byte, size)
		} else {
			buf = buf[:size]
		}
		workers := min(runtime.GOMAXPROCS(0), n)
		var group sync.WaitGroup
		for k := range workers {
			group.Go(func() {
				for r := n * k / workers; r < n*(k+1)/workers; r++ {
					t.fill.row(buf[4*r*length:4*(r+1)*length], rand.NewPCG(seed, uint64(first+r)))
				}
			})
		}
		group.Wait()
		if _, err := w.Write(buf); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// row fills dst with float32 values.
func (d distribution) row(dst []byte, random *rand.PCG) {
	switch d.kind {
	case kindConstant:
		for i := 0; i < len(dst); i += 4 {
			putFloat(dst[i:], d.lo)
		}
	case kindUniform:
		for i := 0; i < len(dst); i += 4 {
			u := float32(random.Uint64()>>40) / (1 << 24)
			putFloat(dst[i:], d.lo+float32(u*(d.hi-d.lo)))
		}
	case kindNormal:
		var sum int64
		for i := 0; i < len(dst); i += 4 {
			g := gauss(random.Uint64())
			sum += int64(g)
			binary.LittleEndian.PutUint32(dst[i:], uint32(g))
		}
		mean := int32(float64(d.centre) * float64(sum) / float64(len(dst)/4))
		scale := d.std / gaussStd
		for i := 0; i < len(dst); i += 4 {
			g := int32(binary.LittleEndian.Uint32(dst[i:]))
			putFloat(dst[i:], float32(g-mean)*scale)
		}
	}
}

func putFloat(dst []byte, v float32) { binary.LittleEndian.PutUint32(dst, math.Float32bits(v)) }

// gauss adds the four 16-bit parts of a random number and subtracts the expected mean. The result is
// approximately normal and equal on all machines. gauss is a few times faster than exact methods.
func gauss(u uint64) int32 {
	return int32(u&0xffff) + int32(u>>16&0xffff) + int32(u>>32&0xffff) + int32(u>>48) - 2*0xffff
}

// gaussStd is the standard deviation of gauss: twice that of a uniform variable on 2^16 values.
const gaussStd = 2 * 65536 / 3.4641016
