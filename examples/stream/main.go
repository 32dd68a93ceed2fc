// Command stream classifies pictures from a NATS JetStream stream. README.md
// describes its guarantees.
//
//	go run github.com/nats-io/nats-server/v2 -js &
//	go run . &
//	go run . -send ../../testdata/digits/*.png
//
// The network is package network, which `go generate` makes from a trained model. To
// use another model, change the go:generate line below. The rest of the program does
// not depend on the model.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

//go:generate go tool modelc compile ../../testdata/digits/lenet5.onnx -o network --preprocess unit --labels labels.txt

func main() {
	url := flag.String("url", nats.DefaultURL, "`URL` of the NATS server")
	send := flag.Bool("send", false, "send the files that the arguments name, instead of classifying")
	l := defaults
	flag.IntVar(&l.batch, "batch", l.batch, "number of messages to hold and to classify at a time")
	flag.IntVar(&l.sessions, "sessions", runtime.GOMAXPROCS(0), "number of pictures that are classified in parallel")
	flag.DurationVar(&l.ackWait, "ack-wait", l.ackWait, "time after which messages of a dead consumer are delivered again")
	flag.IntVar(&l.deliveries, "deliveries", l.deliveries, "number of deliveries after which a message is poison")
	flag.Int64Var(&l.backlog, "backlog", l.backlog, "number of waiting messages from which the server refuses more")
	flag.Parse()
	if (flag.NArg() > 0) != *send || l.batch < 1 || l.sessions < 1 || l.deliveries < 1 {
		flag.Usage()
		os.Exit(2)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the program immediately
	if err := run(ctx, *url, l, flag.Args(), log); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// run sends files, or classifies until ctx is done if there are none.
func run(ctx context.Context, url string, l limits, files []string, log *slog.Logger) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	source, err := setup(ctx, js, l)
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		// Dots separate the tokens of a subject.
		name := strings.NewReplacer(".", "_", " ", "_", "*", "_", ">", "_").Replace(filepath.Base(f))
		if _, err := js.Publish(ctx, workSubject+name, b); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	if len(files) > 0 {
		return nil
	}
	p, err := newPool(l.sessions)
	if err != nil {
		return err
	}
	defer p.close()
	log.Info("consuming", "url", url, "batch", l.batch, "sessions", l.sessions)
	c := &consumer{js, source, l, p.classify, log}
	err = c.run(ctx)
	log.Info("drained")
	return err
}
