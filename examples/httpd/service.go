package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the formats that the service takes
	_ "image/png"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"example.com/httpd/network"
)

// limits bound what one request may cost.
type limits struct {
	bytes  int64         // of the file
	pixels int           // of the picture, before it is decoded
	read   time.Duration // for the request to arrive
	wait   time.Duration // for a session
}

var defaults = limits{bytes: 8 << 20, pixels: 16 << 20, read: 15 * time.Second, wait: 2 * time.Second}

// service answers requests with the classes of the pictures they bring.
type service struct {
	pool     *pool
	limits   limits
	log      *slog.Logger
	metrics  *metrics
	draining atomic.Bool // /healthz says 503
}

func newService(p *pool, l limits, log *slog.Logger) *service {
	return &service{pool: p, limits: l, log: log, metrics: newMetrics()}
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /classify", s.classify)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if s.draining.Load() {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		s.metrics.write(w, s.pool)
	})
	return mux
}

// answer is the body of an answer: classes, best first, or an error.
type answer struct {
	Classes []class `json:"classes,omitempty"`
	Error   string  `json:"error,omitempty"`
}

type class struct {
	Index int     `json:"index"`
	Name  string  `json:"name"`
	Score float32 `json:"score"`
}

// failure is an error with the status that tells it.
type failure struct {
	status int
	error
}

func fail(status int, format string, args ...any) error {
	return failure{status, fmt.Errorf(format, args...)}
}

// statusGone is what is counted and logged for a client that did not wait for
// its answer; nobody receives it.
const statusGone = 499

func (s *service) classify(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	status := http.StatusOK
	var a answer
	classes, err := s.look(w, r)
	if err != nil {
		status = http.StatusInternalServerError
		var f failure
		if errors.As(err, &f) {
			status = f.status
		}
		a.Error = err.Error()
	}
	for _, c := range classes {
		a.Classes = append(a.Classes, class{c.Index, c.Name, c.Score})
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(a) // an error means that the client is gone

	took := time.Since(start)
	s.metrics.answered(status, took)
	level := slog.LevelInfo
	if status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "classify", "status", status, "bytes", r.ContentLength, "ms", float64(took.Microseconds())/1e3, "remote", r.RemoteAddr, "error", a.Error)
}

// look returns the classes of the picture in r. Waiting ends when the client
// goes or the time is up; work that has begun is finished, for a network cannot
// stop half way.
func (s *service) look(w http.ResponseWriter, r *http.Request) ([]network.Class, error) {
	if !s.pool.enter() {
		return nil, fail(http.StatusServiceUnavailable, "too many requests are waiting")
	}
	defer s.pool.leave()

	// Reading holds no session: clients may be slow.
	r.Body = http.MaxBytesReader(w, r.Body, s.limits.bytes)
	file, err := read(r)
	if err != nil {
		return nil, err
	}
	if err := s.check(file); err != nil {
		return nil, err
	}

	waiting := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.wait)
	defer cancel()
	session, err := s.pool.get(ctx)
	s.metrics.waited.observe(time.Since(waiting))
	switch {
	case r.Context().Err() != nil:
		if err == nil {
			s.pool.put(session)
		}
		return nil, fail(statusGone, "the client went away")
	case err != nil:
		return nil, fail(http.StatusServiceUnavailable, "no session was free for %v", s.limits.wait)
	}
	defer s.pool.put(session)

	// Decoding costs as much memory as all the rest, so it needs a session too.
	working := time.Now()
	defer func() { s.metrics.worked.observe(time.Since(working)) }()
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "the picture is damaged: %w", err)
	}
	return session.Predict(img)
}

// read returns the file that a request brings: its body, or the first file of
// a form.
func read(r *http.Request) ([]byte, error) {
	body, err := upload(r)
	var file []byte
	if err == nil {
		file, err = io.ReadAll(body)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, fail(http.StatusRequestEntityTooLarge, "the request has more than %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fail(http.StatusRequestTimeout, "the request took too long to arrive")
	case err != nil:
		return nil, fail(http.StatusBadRequest, "the request is damaged: %w", err)
	}
	return file, nil
}

func upload(r *http.Request) (io.Reader, error) {
	form, err := r.MultipartReader()
	if errors.Is(err, http.ErrNotMultipart) {
		return r.Body, nil
	}
	for err == nil {
		part, next := form.NextPart()
		if next == nil && part.FileName() != "" {
			return part, nil
		}
		err = next
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the form has no file")
	}
	return nil, err
}

// check refuses what is no picture, and pictures that are too large, by their
// header.
func (s *service) check(file []byte) error {
	c, _, err := image.DecodeConfig(bytes.NewReader(file))
	switch {
	case errors.Is(err, image.ErrFormat):
		return fail(http.StatusUnsupportedMediaType, "want a JPEG or PNG picture")
	case err != nil:
		return fail(http.StatusBadRequest, "the picture is damaged: %w", err)
	case c.Width < 1 || c.Height < 1:
		return fail(http.StatusBadRequest, "the picture has %d×%d pixels", c.Width, c.Height)
	case c.Height > s.limits.pixels/c.Width:
		return fail(http.StatusRequestEntityTooLarge, "the picture has %d×%d pixels, the limit is %d", c.Width, c.Height, s.limits.pixels)
	}
	return nil
}
