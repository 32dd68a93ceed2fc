// Package choices turns the bytes of a fuzzer into random decisions, so that a
// fuzzer can build valid structures.
package choices

import "math/rand/v2"

// New returns a generator whose n-th number is determined by byte n of b, and
// numbers behind the end of b by a fixed sequence. A fuzzer that changes one byte
// changes one decision.
func New(b []byte) *rand.Rand { return rand.New(&source{b, rand.NewPCG(1, 2)}) }

type source struct {
	b    []byte
	rest *rand.PCG
}

// Uint64 implements [rand.Source]. IntN uses the low bits for powers of two and the
// high bits otherwise, so the byte is both.
func (s *source) Uint64() uint64 {
	x := s.rest.Uint64()
	if len(s.b) > 0 {
		c := uint64(s.b[0])
		s.b = s.b[1:]
		x = c<<56 | x>>16<<8 | c
	}
	return x
}
