package runtime

import (
	"bytes"
	"crypto/sha256"
	bin "encoding/binary"
	"fmt"
	"unsafe"
)

// WeightsHeader is the size of the header of a weights file: magic, payload
// size and SHA-256, padded to a cache line so that the payload keeps the
// alignment of the file.
const WeightsHeader = 64

// WeightsMagic starts a weights file; its last byte is the format's version.
const WeightsMagic = "MODELCW\x01"

// HeaderOf returns the header for a payload of the given size and digest.
func HeaderOf(size int, sum [32]byte) [WeightsHeader]byte {
	var h [WeightsHeader]byte
	copy(h[:], WeightsMagic)
	bin.LittleEndian.PutUint64(h[8:], uint64(size))
	copy(h[16:], sum[:])
	return h
}

// Payload returns the weights in a weights file. want is the SHA-256 that the
// package was generated with; check makes sure that the payload has it, which
// reads all of it.
func Payload(file []byte, want [32]byte, check bool) ([]byte, error) {
	if len(file) < WeightsHeader || string(file[:8]) != WeightsMagic {
		return nil, fmt.Errorf("modelc: not a weights file of this version of modelc")
	}
	payload := file[WeightsHeader:]
	if n := bin.LittleEndian.Uint64(file[8:]); n != uint64(len(payload)) {
		return nil, fmt.Errorf("modelc: the weights file is damaged: %d bytes of weights, want %d", len(payload), n)
	}
	if !bytes.Equal(file[16:48], want[:]) {
		return nil, fmt.Errorf("modelc: these are the weights of another model or version")
	}
	if check && sha256.Sum256(payload) != want {
		return nil, fmt.Errorf("modelc: the weights file is damaged: its SHA-256 does not match")
	}
	return payload, nil
}

// BytesOfString returns the memory of s, which must not be written.
func BytesOfString(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
