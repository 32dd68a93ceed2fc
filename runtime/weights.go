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

// open returns the model of p with the weights in file, the content of a weights file.
// It fails if the header does not fit p, if the digest of the weights is not *want, unless
// want is nil, or, if check is set, if it is not that in the header.
func open(p *Plan, file []byte, want *[32]byte, check bool, source string, unmap func()) (*Model, error) {
	if len(file) < WeightsHeader || string(file[:len(WeightsMagic)]) != WeightsMagic || file[len(WeightsMagic)] != WeightsVersion {
		return nil, fmt.Errorf("%w: not a weights file of this version of modelc", ErrWeights)
	}
	payload, sum := file[WeightsHeader:], [32]byte(file[WeightsSum:])
	n := binary.LittleEndian.Uint64(file[WeightsSize:])
	switch {
	case n != uint64(len(payload)):
		return nil, fmt.Errorf("%w: the file is damaged: %d bytes of weights, want %d", ErrWeights, len(payload), n)
	case !bytes.Equal(file[WeightsGraph:WeightsGraph+32], p.Graph[:]):
		return nil, fmt.Errorf("%w: they are those of another network, or they were written with other flags or by another version of modelc", ErrWeights)
	case want != nil && sum != *want:
		return nil, fmt.Errorf("%w: they are not those that the package was generated with; WithWeights takes those of a retrained model", ErrWeights)
	case check && digest(payload) != sum:
		return nil, fmt.Errorf("%w: the file is damaged: its SHA-256 does not match", ErrWeights)
	}
	return newModel(&loaded{plan: p, weights: payload, source: source, sum: sum, unmap: unmap})
}

// EmbeddedModel returns the model of p with the weights in file, the content of a
// weights file. It fails if the header does not fit p, or if the digest of the
// weights is not want.
func EmbeddedModel(p *Plan, file string, want [32]byte) (*Model, error) {
	return open(p, unsafe.Slice(unsafe.StringData(file), len(file)), &want, false, "embedded", func() {})
}

// BytesModel returns the model of p with the weights in file, the content of a weights
// file. It checks their digest, and accepts those of any model with the same graph. The
// file must not change until the model and its sessions are closed.
func BytesModel(p *Plan, file []byte) (*Model, error) {
	return open(p, file, nil, true, "bytes", func() {})
}

// OpenModel reads or maps the weights file at path and returns the model of p with the
// weights in it. It reads the whole file to check the digest of the weights.
// If want is nil, OpenModel accepts the weights of any model with the same graph;
// otherwise the digest must be *want. A file of 16 MB or more stays mapped until the
// model and its sessions are closed. Until then no program may write to it, and another
// file may replace it. If a program truncates it, a run that reads the missing part makes
// the system end the process (SIGBUS). Smaller files are read. Errors name the path.
func OpenModel(p *Plan, path string, want *[32]byte) (*Model, error) {
	file, err := mem.Map(path)
	if errors.Is(err, mem.ErrFile) {
		return nil, fmt.Errorf("%w: %w", ErrWeights, err)
	}
	if err != nil {
		return nil, err
	}
	m, err := open(p, file.Data, want, true, path, file.Unmap)
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
