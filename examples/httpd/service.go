package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // register the formats that the service accepts
	_ "image/png"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"example.com/httpd/network"
)

// limits holds the limits of a request.
type limits struct {
	bytes  int64         // maximum size of the file
	pixels int           // maximum number of pixels, checked before decoding
	read   time.Duration // maximum time for the request to arrive
	wait   time.Duration // maximum time of waiting for a session
}

var defaults = limits{bytes: 8 << 20, pixels: 16 << 20, read: 15 * time.Second, wait: 2 * time.Second}

// service answers requests that contain a picture with the picture's classes.
type service struct {
	pool     *pool
	limits   limits
	log      *slog.Logger
	metrics  *metrics
	draining atomic.Bool // /healthz returns 503
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

// answer is the body of a response: classes, best first, or an error.
type answer struct {
	Classes []class `json:"classes,omitempty"`
	Scores  string  `json:"scores,omitempty"` // the kind of the scores, such as probability
	Error   string  `json:"error,omitempty"`
}

type class struct {
	Index int     `json:"index"`
	Name  string  `json:"name"`
	Score float32 `json:"score"`
}

// failure is an error with its HTTP status.
type failure struct {
	status int
	error
}

func fail(status int, format string, args ...any) error {
	return failure{status, fmt.Errorf(format, args...)}
}

// statusGone is the status in counters and logs for a client that disconnected
// before its response. It is never sent.
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
	if err == nil {
		a.Scores = network.Scores
	}
	for _, c := range classes {
		a.Classes = append(a.Classes, class{c.Index, c.Name, c.Score})
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(a) // an error means that the client has disconnected

	took := time.Since(start)
	s.metrics.answered(status, took)
	level := slog.LevelInfo
	if status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "classify", "status", status, "bytes", r.ContentLength, "ms", float64(took.Microseconds())/1e3, "remote", r.RemoteAddr, "error", a.Error)
}

// look returns the classes of the picture in r. It stops waiting if the client
// disconnects or the time limit is reached. Work that has started is finished,
// because a network cannot be interrupted.
func (s *service) look(w http.ResponseWriter, r *http.Request) ([]network.Class, error) {
	if !s.pool.enter() {
		return nil, fail(http.StatusServiceUnavailable, "too many requests are waiting")
	}
	defer s.pool.leave()

	// Read without a session, because clients may be slow.
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

	// Decoding needs as much memory as the rest of the work, so it needs a session
	// too.
	working := time.Now()
	defer func() { s.metrics.worked.observe(time.Since(working)) }()
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "the picture is damaged: %w", err)
	}
	return session.Predict(img)
}

// read returns the file in a request: the body, or the first file of a form.
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

// check reads the header of a file and returns an error if the file is not a
// picture or the picture is too large.
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
