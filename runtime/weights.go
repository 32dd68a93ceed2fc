package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"unsafe"

	"modelc/runtime/internal/mem"
)

// A weights file starts with a header: magic, version, size of the payload,
// SHA-256 of the payload, SHA-256 of the graph, and zeros, so that the payload
// keeps the alignment of the file. Numbers are little-endian.
const (
	WeightsMagic   = "MODELCW" // the first bytes
	WeightsVersion = 2         // of the format, the byte behind the magic
	WeightsHeader  = 128       // bytes before the payload

	// Offsets in the header.
	WeightsSize  = 8  // of the payload, 8 bytes
	WeightsSum   = 16 // SHA-256 of the payload
	WeightsGraph = 48 // Plan.Graph
)

// cutHeader returns the weights of a file that was packed for p, and the SHA-256
// that the header states.
func cutHeader(file []byte, p *Plan) (payload []byte, sum [32]byte, err error) {
	if len(file) < WeightsHeader || string(file[:len(WeightsMagic)]) != WeightsMagic || file[len(WeightsMagic)] != WeightsVersion {
		return nil, sum, errors.New("modelc: not a weights file of this version of modelc")
	}
	payload = file[WeightsHeader:]
	if n := binary.LittleEndian.Uint64(file[WeightsSize:]); n != uint64(len(payload)) {
		return nil, sum, fmt.Errorf("modelc: the weights file is damaged: %d bytes of weights, want %d", len(payload), n)
	}
	if !bytes.Equal(file[WeightsGraph:WeightsGraph+32], p.Graph[:]) {
		return nil, sum, errors.New("modelc: these are the weights of another network, or they were written with other flags or by another version of modelc")
	}
	copy(sum[:], file[WeightsSum:])
	return payload, sum, nil
}

// EmbeddedModel returns the model of p with the weights in file, the content of a
// weights file. It fails if the header does not fit p, or if the digest of the
// weights is not want.
func EmbeddedModel(p *Plan, file string, want [32]byte) (*Model, error) {
	payload, sum, err := cutHeader(unsafe.Slice(unsafe.StringData(file), len(file)), p)
	if err != nil {
		return nil, err
	}
	if sum != want {
		return nil, errOtherWeights
	}
	return NewModel(p, payload)
}

// OpenModel reads or maps the weights file at path and returns the model of p with the
// weights in it. It reads the whole file to check the digest of the weights.
// If want is nil, OpenModel accepts the weights of any model with the same graph;
// otherwise the digest must be *want. A file of 16 MB or more stays mapped until the
// garbage collector finds the model unused. Until then no program may write to it, and
// another file may replace it. If a program truncates it, a run that reads the missing
// part makes the system end the process (SIGBUS). Smaller files are read. Errors name
// the path.
func OpenModel(p *Plan, path string, want *[32]byte) (*Model, error) {
	file, err := mem.Map(path)
	if err != nil {
		return nil, err
	}
	payload, sum, err := cutHeader(file.Data, p)
	switch {
	case err != nil:
	case want != nil && sum != *want:
		err = errOtherWeights
	case digest(payload) != sum:
		err = errors.New("modelc: the weights file is damaged: its SHA-256 does not match")
	}
	var m *Model
	if err == nil {
		m, err = NewModel(p, payload)
	}
	if err != nil {
		file.Unmap()
		return nil, fmt.Errorf("%w: %s", err, path)
	}
	// Sessions refer to the model and keep themselves alive while they run.
	goruntime.AddCleanup(m, mem.File.Unmap, file)
	return m, nil
}

// digest returns the SHA-256 of b. A garbage collection can stop it between parts.
func digest(b []byte) (sum [32]byte) {
	h := sha256.New()
	for part := range slices.Chunk(b, 1<<18) {
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

var errOtherWeights = errors.New("modelc: these are not the weights that the package was generated with; WithWeights takes those of a retrained model")
