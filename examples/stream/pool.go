package main

import (
	"bytes"

	"modelc/runtime/vision"

	"example.com/stream/network"
)

// pool holds sessions that share the weights of the network. Each has one
// goroutine, which gives the highest throughput if there are enough messages.
type pool chan *network.Session

func newPool(sessions int) (pool, error) {
	m, err := network.New()
	if err != nil {
		return nil, err
	}
	p := make(pool, sessions)
	for range sessions {
		p <- m.NewSession(network.Threads(1))
	}
	return p, nil
}

type class struct {
	Index int     `json:"index"`
	Name  string  `json:"name"`
	Score float32 `json:"score"`
}

// classify returns the classes of a PNG or JPEG file, best first. Any number of
// goroutines may call it.
func (p pool) classify(file []byte) ([]class, error) {
	s := <-p
	defer func() { p <- s }()
	img, err := vision.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	classes, err := s.Predict(img)
	if err != nil {
		return nil, err
	}
	var out []class
	for _, c := range classes {
		out = append(out, class{c.Index, c.Name, c.Score})
	}
	return out, nil
}

// close waits for all sessions and releases them.
func (p pool) close() {
	for range cap(p) {
		(<-p).Close()
	}
}
