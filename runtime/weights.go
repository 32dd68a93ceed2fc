package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
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
		return nil, sum, fmt.Errorf("%w: not a weights file of this version of modelc", ErrWeights)
	}
	payload = file[WeightsHeader:]
	if n := binary.LittleEndian.Uint64(file[WeightsSize:]); n != uint64(len(payload)) {
		return nil, sum, fmt.Errorf("%w: the file is damaged: %d bytes of weights, want %d", ErrWeights, len(payload), n)
	}
	if !bytes.Equal(file[WeightsGraph:WeightsGraph+32], p.Graph[:]) {
		return nil, sum, fmt.Errorf("%w: they are those of another network, or they were written with other flags or by another version of modelc", ErrWeights)
	}
	copy(sum[:], file[WeightsSum:])
	return payload, sum, nil
}

// load returns the part of a model with the weights in file, the content of a weights
// file. It fails if the header does not fit p or, unless want is nil, if the digest of
// the weights is not *want.
func load(p *Plan, file []byte, source string, want *[32]byte) (*loaded, error) {
	payload, sum, err := cutHeader(file, p)
	if err != nil {
		return nil, err
	}
	if want != nil && sum != *want {
		return nil, fmt.Errorf("%w: they are not those that the package was generated with; WithWeights takes those of a retrained model", ErrWeights)
	}
	return &loaded{plan: p, weights: payload, source: source, sum: sum}, nil
}

// intact returns an error if the weights do not have the digest in their header.
func (l *loaded) intact() error {
	if digest(l.weights) != l.sum {
		return fmt.Errorf("%w: the file is damaged: its SHA-256 does not match", ErrWeights)
	}
	return nil
}

// EmbeddedModel returns the model of p with the weights in file, the content of a
// weights file. It fails if the header does not fit p, or if the digest of the
// weights is not want.
func EmbeddedModel(p *Plan, file string, want [32]byte) (*Model, error) {
	l, err := load(p, unsafe.Slice(unsafe.StringData(file), len(file)), "embedded", &want)
	if err != nil {
		return nil, err
	}
	return newModel(l)
}

// BytesModel returns the model of p with the weights in file, the content of a weights
// file. It checks the digest of the weights and accepts those of any model with the same
// graph. The model refers to file, which must not change until the model and its
// sessions are closed.
func BytesModel(p *Plan, file []byte) (*Model, error) {
	l, err := load(p, file, "bytes", nil)
	if err == nil {
		err = l.intact()
	}
	if err != nil {
		return nil, err
	}
	return newModel(l)
}

// OpenModel reads or maps the weights file at path and returns the model of p with the
// weights in it. It reads the whole file to check the digest of the weights.
// If want is nil, OpenModel accepts the weights of any model with the same graph;
// otherwise the digest must be *want. A file of 16 MB or more stays mapped until the
// model and its sessions are closed, or until the garbage collector finds them unused.
// Until then no program may write to it, and another file may replace it. If a program
// truncates it, a run that reads the missing part makes the system end the process
// (SIGBUS). Smaller files are read. Errors name the path.
func OpenModel(p *Plan, path string, want *[32]byte) (*Model, error) {
	file, err := mem.Map(path)
	if errors.Is(err, mem.ErrFile) {
		return nil, fmt.Errorf("%w: %w", ErrWeights, err)
	}
	if err != nil {
		return nil, err
	}
	l, err := load(p, file.Data, path, want)
	if err == nil {
		err = l.intact()
	}
	var m *Model
	if err == nil {
		l.unmap = file.Unmap
		m, err = newModel(l)
	}
	if err != nil {
		file.Unmap()
		return nil, fmt.Errorf("%w: %s", err, path)
	}
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
