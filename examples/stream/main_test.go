package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var messages = flag.Int("messages", 2000, "number of messages that TestKill sends")

// consumerURL makes the test program a consumer, so that tests can kill one.
const consumerURL = "STREAM_TEST_CONSUMER"

var testLimits = limits{batch: 32, sessions: 2, ackWait: 2 * time.Second, deliveries: 3, backlog: 1_000_000}

func TestMain(m *testing.M) {
	if url := os.Getenv(consumerURL); url != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		if err := run(ctx, url, testLimits, nil, slog.New(slog.DiscardHandler)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// start runs a server with the streams.
func start(t *testing.T, l limits) (url string, js jetstream.JetStream, source jetstream.Consumer) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000)); err != nil {
		t.Fatal(err)
	}
	if source, err = setup(t.Context(), js, l); err != nil {
		t.Fatal(err)
	}
	return s.ClientURL(), js, source
}

// stored returns the number of messages in a stream.
func stored(t *testing.T, js jetstream.JetStream, stream string) int {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

// wait waits until the condition holds.
func wait(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v: not %s", limit, what)
		}
	}
}

// each calls f for every message of a stream.
func each(t *testing.T, js jetstream.JetStream, stream string, f func(m jetstream.Msg)) {
	t.Helper()
	n := stored(t, js, stream)
	c, err := js.OrderedConsumer(t.Context(), stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer all.Stop()
	for range n {
		m, err := all.Next()
		if err != nil {
			t.Fatal(err)
		}
		f(m)
	}
}

// Two processes consume, and one is killed half-way. Every picture has exactly one
// result, the right one; every damaged picture is poison.
func TestKill(t *testing.T) {
	url, js, source := start(t, testLimits)
	files, err := filepath.Glob("../../testdata/digits/*.png")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pictures: %v", len(files), err)
	}
	var pictures [][]byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, b)
	}
	damaged := func(i int) bool { return i%500 == 7 }
	poison := 0
	begin := time.Now()
	for i := range *messages {
		b := pictures[i%len(pictures)]
		if damaged(i) {
			b, poison = b[:len(b)/2], poison+1
		}
		if _, err := js.PublishAsync(workSubject+strconv.Itoa(i), b); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	if n := stored(t, js, "WORK"); n != *messages {
		t.Fatalf("%d messages are stored", n)
	}
	t.Logf("%d messages sent in %v", *messages, time.Since(begin).Round(time.Millisecond))

	begin = time.Now()
	victim, survivor := process(t, url), process(t, url)
	wait(t, 10*time.Minute, "half-way", func() bool { return stored(t, js, "RESULTS") >= *messages/2 })
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	victim.Wait()
	info, err := source.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("killed one of two consumers after %d results; %d messages delivered and not acknowledged", stored(t, js, "RESULTS"), info.NumAckPending)
	wait(t, 10*time.Minute, "complete", func() bool { return stored(t, js, "WORK") == 0 })
	took := time.Since(begin)
	survivor.Process.Signal(os.Interrupt)
	if err := survivor.Wait(); err != nil {
		t.Errorf("the survivor: %v", err)
	}

	seen := map[string]bool{}
	each(t, js, "RESULTS", func(m jetstream.Msg) {
		var r struct {
			ID      string
			Classes []class
		}
		if err := json.Unmarshal(m.Data(), &r); err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(r.ID)
		if err != nil || seen[r.ID] || damaged(i) {
			t.Fatalf("result %s is unexpected", m.Data())
		}
		seen[r.ID] = true
		if want := int(filepath.Base(files[i%len(files)])[0] - '0'); r.Classes[0].Index != want {
			t.Fatalf("result %s, want %d", m.Data(), want)
		}
	})
	bad := 0
	each(t, js, "POISON", func(m jetstream.Msg) {
		i, err := strconv.Atoi(strings.TrimPrefix(m.Subject(), poisonSubject))
		if err != nil || !damaged(i) || !strings.Contains(m.Headers().Get(reasonHeader), "damaged picture") {
			t.Fatalf("poison %s: %v", m.Subject(), m.Headers())
		}
		bad++
	})
	if len(seen) != *messages-poison || bad != poison {
		t.Errorf("%d results and %d poison messages, want %d and %d", len(seen), bad, *messages-poison, poison)
	}
	t.Logf("%d results and %d poison messages, each once, in %v: %.0f messages/s", len(seen), bad, took.Round(time.Millisecond), float64(*messages)/took.Seconds())
}

// process starts a consumer in a process of its own.
func process(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), consumerURL+"="+url)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	return c
}

// Work that takes longer than the server waits for acknowledgements is delivered
// once. The consumer holds a batch at most, and when it stops, it finishes the batch.
func TestSlowWork(t *testing.T) {
	l := limits{batch: 2, sessions: 2, ackWait: time.Second, deliveries: 3, backlog: 100}
	_, js, source := start(t, l)
	for i := range 20 {
		if _, err := js.Publish(t.Context(), workSubject+strconv.Itoa(i), []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	var calls atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	c := &consumer{js, source, l, func([]byte) ([]class, error) {
		calls.Add(1)
		time.Sleep(1500 * time.Millisecond)
		return []class{{Name: "slow"}}, nil
	}, slog.New(slog.DiscardHandler)}
	done := make(chan error)
	go func() { done <- c.run(ctx) }()
	wait(t, 20*time.Second, "in the second batch", func() bool { return calls.Load() > 2 })
	info, err := source.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.NumAckPending > l.batch || info.NumRedelivered != 0 {
		t.Errorf("%d messages are not acknowledged and %d were delivered again", info.NumAckPending, info.NumRedelivered)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	time.Sleep(l.ackWait) // a message that was not acknowledged would count as redelivered
	if info, err = source.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, js, "RESULTS"); n != 4 || calls.Load() != 4 || info.NumAckPending != 0 || info.NumRedelivered != 0 {
		t.Errorf("%d results of %d calls, %d messages not acknowledged, %d delivered again; want two batches", n, calls.Load(), info.NumAckPending, info.NumRedelivered)
	}
}

// A full stream refuses messages instead of dropping old ones.
func TestBackPressure(t *testing.T) {
	l := testLimits
	l.backlog = 10
	_, js, _ := start(t, l)
	for i := range 10 {
		if _, err := js.Publish(t.Context(), workSubject+strconv.Itoa(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(t.Context(), workSubject+"10", nil); err == nil || !strings.Contains(err.Error(), "maximum messages exceeded") {
		t.Errorf("a full stream: error %v", err)
	}
	if n := stored(t, js, "WORK"); n != 10 {
		t.Errorf("%d messages", n)
	}
}

// A message whose consumers die is poison after some deliveries.
func TestDeadlyMessage(t *testing.T) {
	l := limits{batch: 4, sessions: 1, ackWait: 100 * time.Millisecond, deliveries: 2, backlog: 10}
	_, js, source := start(t, l)
	if _, err := js.Publish(t.Context(), workSubject+"deadly", []byte{1}); err != nil {
		t.Fatal(err)
	}
	for range l.deliveries { // two consumers take it and die
		if _, err := source.Next(jetstream.FetchMaxWait(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	c := &consumer{js, source, l, func([]byte) ([]class, error) { panic("deadly") }, slog.New(slog.DiscardHandler)}
	done := make(chan error)
	go func() { done <- c.run(ctx) }()
	wait(t, 10*time.Second, "poison", func() bool { return stored(t, js, "WORK") == 0 && stored(t, js, "POISON") == 1 })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A consumer that dies between its result and its acknowledgement causes no second
// result.
func TestDeathBeforeAcknowledgement(t *testing.T) {
	l := testLimits
	l.ackWait = 200 * time.Millisecond
	_, js, source := start(t, l)
	if _, err := js.Publish(t.Context(), workSubject+"twice", []byte{1}); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	c := &consumer{js, source, l, func([]byte) ([]class, error) { calls.Add(1); return nil, nil }, slog.New(slog.DiscardHandler)}
	batch, err := c.fetch(t.Context())
	if err != nil || len(batch) != 1 {
		t.Fatalf("%d messages: %v", len(batch), err)
	}
	if _, err := js.PublishMsg(t.Context(), c.answer(batch[0])); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.run(ctx) }()
	wait(t, 10*time.Second, "acknowledged", func() bool { return stored(t, js, "WORK") == 0 })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := stored(t, js, "RESULTS"); n != 1 || calls.Load() != 2 {
		t.Errorf("%d results after %d calls", n, calls.Load())
	}
}
