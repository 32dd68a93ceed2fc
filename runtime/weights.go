package runtime

import (
	"bytes"
	"crypto/sha256"
	bin "encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// WeightsHeader is the size of the header of a weights file: magic, payload
// size, SHA-256 of the payload, SHA-256 of the graph, padded to cache lines so
// that the payload keeps the alignment of the file.
const WeightsHeader = 128

// WeightsMagic starts a weights file. A byte with the format's version
// follows.
const WeightsMagic = "MODELCW"

const weightsVersion = 2

// HeaderOf returns the header for a payload of the given size and digest,
// packed for the plan of the digest graph (Plan.Graph).
func HeaderOf(size int, sum, graph [32]byte) [WeightsHeader]byte {
	var h [WeightsHeader]byte
	copy(h[:], WeightsMagic)
	h[len(WeightsMagic)] = weightsVersion
	bin.LittleEndian.PutUint64(h[8:], uint64(size))
	copy(h[16:48], sum[:])
	copy(h[48:80], graph[:])
	return h
}

// cutHeader returns the weights of a file that was packed for p, and the
// SHA-256 that they shall have.
func cutHeader(file []byte, p *Plan) (payload []byte, sum [32]byte, err error) {
	if len(file) < WeightsHeader || string(file[:len(WeightsMagic)]) != WeightsMagic || file[len(WeightsMagic)] != weightsVersion {
		return nil, sum, errors.New("modelc: not a weights file of this version of modelc")
	}
	payload = file[WeightsHeader:]
	if n := bin.LittleEndian.Uint64(file[8:]); n != uint64(len(payload)) {
		return nil, sum, fmt.Errorf("modelc: the weights file is damaged: %d bytes of weights, want %d", len(payload), n)
	}
	if !bytes.Equal(file[48:80], p.Graph[:]) {
		return nil, sum, errors.New("modelc: these are the weights of another network, or of other flags or another version of modelc")
	}
	copy(sum[:], file[16:48])
	return payload, sum, nil
}

// EmbeddedModel returns the model of p with the weights in the weights file
// that the program carries, those of the digest want.
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

// OpenModel maps the weights file at path and returns the model of p with
// them. want is the digest that the weights must have, nil for those of any
// model with the same graph. All of them are read, to make sure of their
// digest. The file stays mapped until the garbage collector finds the model
// unused; it must not be written meanwhile, only replaced by another.
func OpenModel(p *Plan, path string, want *[32]byte) (*Model, error) {
	file, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	payload, sum, err := cutHeader(file.data, p)
	switch {
	case err != nil:
	case want != nil && sum != *want:
		err = errOtherWeights
	case sha256.Sum256(payload) != sum:
		err = errors.New("modelc: the weights file is damaged: its SHA-256 does not match")
	}
	var m *Model
	if err == nil {
		m, err = NewModel(p, payload)
	}
	if err != nil {
		file.unmap()
		return nil, fmt.Errorf("%w: %s", err, path)
	}
	file.unmapAfter(m)
	return m, nil
}

var errOtherWeights = errors.New("modelc: these are not the weights that the package was generated with; WithWeights takes those of a retrained model")
