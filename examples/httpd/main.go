// Command httpd is an HTTP service that classifies pictures of handwritten digits.
// README.md describes its interface, its limits and its throughput.
//
//	go run . &
//	curl --data-binary @../../testdata/digits/3_0.png localhost:8080/classify
//
// The networks are packages, which `go generate` makes from trained models. To use
// another model, change a go:generate line below. For one model more, add a line and
// a row of the table. The rest of the service does not depend on the models.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"example.com/httpd/network"
	"example.com/httpd/resnet"
)

//go:generate go tool modelc compile ../../testdata/keras/vgg/model.keras -o network --preprocess unit --labels labels.txt
//go:generate go tool modelc compile ../../testdata/keras/resnet_v1/model.keras -o resnet --preprocess unit --labels labels.txt

// newModels returns the models of the service. The first one answers requests that
// name none.
func newModels() []*model {
	return []*model{
		newModel("network", network.Scores, network.New, network.WithWeights),
		newModel("resnet", resnet.Scores, resnet.New, resnet.WithWeights),
	}
}

func main() {
	models := newModels()
	address := flag.String("listen", "localhost:8080", "address to listen on")
	sessions := flag.Int("sessions", runtime.GOMAXPROCS(0), "number of pictures that are classified in parallel, by all models together")
	queue := flag.Int("queue", 64, "maximum number of requests that wait for a session; more are refused immediately")
	drain := flag.Duration("drain", 0, "time to continue after SIGTERM while /healthz returns 503")
	grace := flag.Duration("grace", 20*time.Second, "time to finish requests after the drain time")
	limits := defaults
	flag.Int64Var(&limits.bytes, "max-bytes", limits.bytes, "maximum size of a picture's file in bytes")
	flag.IntVar(&limits.pixels, "max-pixels", limits.pixels, "maximum number of pixels of a picture")
	flag.DurationVar(&limits.read, "read", limits.read, "maximum time for a request to arrive")
	flag.DurationVar(&limits.wait, "wait", limits.wait, "maximum time that a request waits for a session")
	flag.Func("weights", "`MODEL=FILE`: the weights of a retrained model, which `modelc weights` wrote; read again on SIGHUP (repeatable)", func(arg string) error {
		return setWeights(models, arg)
	})
	version := flag.Bool("version", false, "print what the program was built from")
	var level slog.Level
	flag.TextVar(&level, "log", slog.LevelInfo, "minimum `LEVEL` to log: debug, info (each request), warn, error")
	flag.Parse()
	if flag.NArg() > 0 || *sessions < 1 || *queue < 0 {
		flag.Usage()
		os.Exit(2)
	}
	if *version {
		json.NewEncoder(os.Stdout).Encode(readBuild())
		return
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	// The first signal shuts the service down, the second ends it immediately.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	s := newService(models, newGate(*sessions, *queue), limits, log)
	if err := listen(ctx, *address, s, *drain, *grace); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
	log.Info("stopped")
}

// setWeights sets the file of a model's weights: MODEL=FILE.
func setWeights(models []*model, arg string) error {
	name, file, ok := strings.Cut(arg, "=")
	if !ok || file == "" {
		return fmt.Errorf("want MODEL=FILE")
	}
	m, err := find(models, name)
	if err != nil {
		return err
	}
	m.weights = file
	return nil
}

// sighup is SIGHUP. Package syscall does not have the name for every target.
const sighup = syscall.Signal(1)

// listen loads the models and serves until ctx is done. SIGHUP loads weights again.
func listen(ctx context.Context, address string, s *service, drain, grace time.Duration) error {
	for _, m := range s.models {
		if err := m.load(); err != nil {
			return err
		}
		defer m.close()
		i := m.info()
		s.log.Info("loaded", "model", m.name, "sha256", i.ModelSHA256, "weights", i.WeightsSource, "weights_sha256", i.WeightsSHA256, "tier", i.Tier)
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, sighup)
	defer signal.Stop(hup)
	go func() {
		for {
			select {
			case <-hup:
				s.reload()
			case <-ctx.Done():
				return
			}
		}
	}()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	b := readBuild()
	s.log.Info("listening", "address", ln.Addr().String(), "sessions", cap(s.gate.work), "queue", cap(s.gate.inside)-cap(s.gate.work), "version", b.Version, "revision", b.Revision)
	return serve(ctx, ln, s, drain, grace)
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
