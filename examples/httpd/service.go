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
	"strings"
	"sync/atomic"
	"time"

	"modelc/runtime"
	"modelc/runtime/vision"
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
	models   []*model
	gate     *gate
	limits   limits
	log      *slog.Logger
	metrics  *metrics
	draining atomic.Bool // /healthz returns 503
}

func newService(models []*model, g *gate, l limits, log *slog.Logger) *service {
	return &service{models: models, gate: g, limits: l, log: log, metrics: newMetrics(g, models)}
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /classify", s.classify)
	mux.HandleFunc("POST /classify/{model}", s.classify)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if s.draining.Load() {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /info", s.info)
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}

// find returns the model with the given name, or the first one if the name is empty.
func find(models []*model, name string) (*model, error) {
	if name == "" {
		return models[0], nil
	}
	var names []string
	for _, m := range models {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return nil, fail(http.StatusNotFound, "no model %q; the models are %s", name, strings.Join(names, ", "))
}

// info answers with the build and the models in use.
func (s *service) info(w http.ResponseWriter, _ *http.Request) {
	a := struct {
		Build  build                   `json:"build"`
		Models map[string]runtime.Info `json:"models"`
	}{readBuild(), map[string]runtime.Info{}}
	for _, m := range s.models {
		a.Models[m.name] = m.info()
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a)
}

// reload loads the weights again that come from files. A model whose new weights are
// refused keeps the old ones.
func (s *service) reload() {
	for _, m := range s.models {
		if m.weights == "" {
			continue
		}
		err := m.load()
		s.metrics.reloaded(m.name, err)
		if err != nil {
			s.log.Error("reload", "model", m.name, "error", err)
			continue
		}
		s.log.Info("reload", "model", m.name, "weights", m.weights, "weights_sha256", m.info().WeightsSHA256)
	}
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
	var classes []vision.Class
	name := "" // of an unknown model, so that clients cannot make labels
	m, err := find(s.models, r.PathValue("model"))
	if err == nil {
		name = m.name
		classes, err = s.look(w, r, m)
	}
	if err != nil {
		status = http.StatusInternalServerError
		var f failure
		if errors.As(err, &f) {
			status = f.status
		}
		a.Error = err.Error()
	}
	if err == nil {
		a.Scores = m.scores
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
	s.metrics.answered(name, status, took)
	level := slog.LevelInfo
	if status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "classify", "model", name, "status", status, "bytes", r.ContentLength, "ms", float64(took.Microseconds())/1e3, "remote", r.RemoteAddr, "error", a.Error)
}

// look returns the classes of the picture in r, by m. It stops waiting if the client
// disconnects or the time limit is reached. Work that has started is finished,
// because a network cannot be interrupted.
func (s *service) look(w http.ResponseWriter, r *http.Request, m *model) ([]vision.Class, error) {
	if !s.gate.enter() {
		return nil, fail(http.StatusServiceUnavailable, "too many requests are waiting")
	}
	defer s.gate.leave()

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
	err = s.gate.begin(ctx)
	s.metrics.waited.WithLabelValues(m.name).Observe(time.Since(waiting).Seconds())
	if err == nil {
		defer s.gate.end()
	}
	switch {
	case r.Context().Err() != nil:
		return nil, fail(statusGone, "the client went away")
	case err != nil:
		return nil, fail(http.StatusServiceUnavailable, "no session was free for %v", s.limits.wait)
	}

	// Decoding needs as much memory as the rest of the work, so only requests at work
	// decode.
	working := time.Now()
	defer func() { s.metrics.worked.WithLabelValues(m.name).Observe(time.Since(working).Seconds()) }()
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "the picture is damaged: %w", err)
	}
	session, err := m.get()
	if err != nil {
		return nil, err
	}
	defer m.put(session)
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
