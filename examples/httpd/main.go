// Command httpd says over HTTP what is on pictures: here, which handwritten
// digit. README.md has its interface, its limits and what it carries.
//
//	go run . &
//	curl --data-binary @../../testdata/digits/3_0.png localhost:8080/classify
//
// The network is package network, which `go generate` makes of a trained
// model. Name another model below, with its preprocessing and classes, and the
// service stays as it is.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"example.com/httpd/network"
)

//go:generate go tool modelc compile ../../testdata/keras/vgg/model.keras -o network --preprocess unit --labels labels.txt

func main() {
	address := flag.String("listen", "localhost:8080", "address to listen on")
	sessions := flag.Int("sessions", runtime.GOMAXPROCS(0), "pictures classified at a time")
	queue := flag.Int("queue", 64, "requests that may wait for a session; more are refused at once")
	drain := flag.Duration("drain", 0, "how long to go on after SIGTERM while /healthz says 503")
	grace := flag.Duration("grace", 20*time.Second, "how long requests have to end after that")
	limits := defaults
	flag.Int64Var(&limits.bytes, "max-bytes", limits.bytes, "size of a picture's file")
	flag.IntVar(&limits.pixels, "max-pixels", limits.pixels, "size of a picture")
	flag.DurationVar(&limits.read, "read", limits.read, "how long a request may take to arrive")
	flag.DurationVar(&limits.wait, "wait", limits.wait, "how long a request waits for a session")
	var level slog.Level
	flag.TextVar(&level, "log", slog.LevelInfo, "least `LEVEL` to log: debug, info (each request), warn, error")
	flag.Parse()
	if flag.NArg() > 0 || *sessions < 1 || *queue < 0 {
		flag.Usage()
		os.Exit(2)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	// A first signal ends the service in order, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := listen(ctx, *address, *sessions, *queue, limits, log, *drain, *grace); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
	log.Info("stopped")
}

// listen loads the network and serves until ctx ends.
func listen(ctx context.Context, address string, sessions, queue int, l limits, log *slog.Logger, drain, grace time.Duration) error {
	m, err := network.New()
	if err != nil {
		return err
	}
	p := newPool(m, sessions, queue)
	defer p.close()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	log.Info("listening", "address", ln.Addr().String(), "sessions", sessions, "queue", queue)
	return serve(ctx, ln, newService(p, l, log), drain, grace)
}

// serve answers requests until ctx ends, and then those that have come: it
// goes on for drain with /healthz saying 503, so that a load balancer can turn
// away, closes the listener, and waits up to grace for the rest.
func serve(ctx context.Context, ln net.Listener, s *service, drain, grace time.Duration) error {
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.limits.read,
		ReadTimeout:       s.limits.read,
		WriteTimeout:      s.limits.read + s.limits.wait + 10*time.Second, // from the end of the header: the body, the queue, the work
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("shutting down", "drain", drain.String(), "grace", grace.String())
	time.Sleep(drain)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return fmt.Errorf("requests were cut off after %v: %w", grace, err)
	}
	return nil
}
