// Command httpd is an HTTP service that classifies pictures of handwritten digits.
// README.md describes its interface, its limits and its throughput.
//
//	go run . &
//	curl --data-binary @../../testdata/digits/3_0.png localhost:8080/classify
//
// The network is package network, which `go generate` makes from a trained model. To
// use another model, change the go:generate line below. The rest of the service does
// not depend on the model.
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
	sessions := flag.Int("sessions", runtime.GOMAXPROCS(0), "number of pictures that are classified in parallel")
	queue := flag.Int("queue", 64, "maximum number of requests that wait for a session; more are refused immediately")
	drain := flag.Duration("drain", 0, "time to continue after SIGTERM while /healthz returns 503")
	grace := flag.Duration("grace", 20*time.Second, "time to finish requests after the drain time")
	limits := defaults
	flag.Int64Var(&limits.bytes, "max-bytes", limits.bytes, "maximum size of a picture's file in bytes")
	flag.IntVar(&limits.pixels, "max-pixels", limits.pixels, "maximum number of pixels of a picture")
	flag.DurationVar(&limits.read, "read", limits.read, "maximum time for a request to arrive")
	flag.DurationVar(&limits.wait, "wait", limits.wait, "maximum time that a request waits for a session")
	var level slog.Level
	flag.TextVar(&level, "log", slog.LevelInfo, "minimum `LEVEL` to log: debug, info (each request), warn, error")
	flag.Parse()
	if flag.NArg() > 0 || *sessions < 1 || *queue < 0 {
		flag.Usage()
		os.Exit(2)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	// The first signal shuts the service down, the second ends it immediately.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := listen(ctx, *address, *sessions, *queue, limits, log, *drain, *grace); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
	log.Info("stopped")
}

// listen loads the network and serves until ctx is done.
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

// serve answers requests until ctx is done. Then it continues for the duration of
// drain while /healthz returns 503, so that a load balancer can remove the service.
// After that it closes the listener and waits at most grace for the requests in
// progress.
func serve(ctx context.Context, ln net.Listener, s *service, drain, grace time.Duration) error {
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.limits.read,
		ReadTimeout:       s.limits.read,
		WriteTimeout:      s.limits.read + s.limits.wait + 10*time.Second, // from the end of the header; includes the body, the queue and the work
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
