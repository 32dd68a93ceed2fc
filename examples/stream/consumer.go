package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A picture arrives as work.ID. Its result leaves as results.ID, or the picture
// itself as poison.ID with the reason in the header Error.
const (
	workSubject   = "work."
	resultSubject = "results."
	poisonSubject = "poison."
	reasonHeader  = "Error"
)

// limits holds the limits of a consumer and of the streams.
type limits struct {
	batch      int           // messages that a consumer holds
	sessions   int           // pictures classified in parallel
	ackWait    time.Duration // silence after which the server delivers a message again
	deliveries int           // deliveries after which a message is poison
	backlog    int64         // messages from which the server refuses more
}

var defaults = limits{batch: 64, ackWait: 30 * time.Second, deliveries: 5, backlog: 1_000_000}

// setup makes the streams and the consumer that all processes share, or updates
// their limits.
func setup(ctx context.Context, js jetstream.JetStream, l limits) (jetstream.Consumer, error) {
	for _, s := range []jetstream.StreamConfig{
		// A message stays until it is acknowledged. A full stream refuses
		// messages, so that the sender waits instead of the server's disk.
		{Name: "WORK", Subjects: []string{workSubject + ">"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: l.backlog},
		// The server drops a second result for the same message. It must
		// remember results for longer than all deliveries can take.
		{Name: "RESULTS", Subjects: []string{resultSubject + ">"}, Duplicates: l.window()},
		{Name: "POISON", Subjects: []string{poisonSubject + ">"}, Duplicates: l.window()},
	} {
		if _, err := js.CreateOrUpdateStream(ctx, s); err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	c, err := js.CreateOrUpdateConsumer(ctx, "WORK", jetstream.ConsumerConfig{
		Durable: "classify", AckPolicy: jetstream.AckExplicitPolicy, AckWait: l.ackWait, MaxAckPending: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("consumer of WORK: %w", err)
	}
	return c, nil
}

func (l limits) window() time.Duration {
	return max(2*time.Minute, 2*time.Duration(l.deliveries)*l.ackWait)
}

// consumer takes a batch of messages, classifies them, stores the results, and only
// then acknowledges the messages and takes the next batch. So it never holds more
// than a batch, and a message whose consumer dies is delivered to another one.
type consumer struct {
	js       jetstream.JetStream
	source   jetstream.Consumer
	limits   limits
	classify func(file []byte) ([]class, error) // safe for several goroutines
	log      *slog.Logger
}

// run consumes until ctx is done. It finishes the batch that it has.
func (c *consumer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		batch, err := c.fetch(ctx)
		if err != nil {
			return err
		}
		if err := c.process(context.WithoutCancel(ctx), batch); err != nil {
			return err
		}
	}
	return nil
}

// fetch waits until there are messages, or ctx is done, and returns at most a batch.
// It does not wait for a full batch.
func (c *consumer) fetch(ctx context.Context) (batch []jetstream.Msg, err error) {
	fetched, err := c.source.FetchNoWait(c.limits.batch)
	if err != nil {
		return nil, err
	}
	for m := range fetched.Messages() {
		batch = append(batch, m)
	}
	if len(batch) > 0 || fetched.Error() != nil {
		return batch, fetched.Error()
	}
	m, err := c.source.Next(jetstream.FetchContext(ctx))
	if err == nil {
		return []jetstream.Msg{m}, nil
	}
	if ctx.Err() != nil || errors.Is(err, nats.ErrTimeout) {
		return nil, nil
	}
	return nil, err
}

// process classifies the messages and acknowledges those whose results are stored.
// The server delivers the others again.
func (c *consumer) process(ctx context.Context, batch []jetstream.Msg) error {
	answered := make([]*nats.Msg, len(batch))
	working := c.report(batch)
	next := make(chan int)
	var all sync.WaitGroup
	for range c.limits.sessions {
		all.Go(func() {
			for i := range next {
				answered[i] = c.answer(batch[i])
			}
		})
	}
	for i := range batch {
		next <- i
	}
	close(next)
	all.Wait()

	stored := make([]jetstream.PubAckFuture, len(batch))
	var err error
	for i, m := range answered {
		if stored[i], err = c.js.PublishMsgAsync(m); err != nil {
			break
		}
	}
	for i, s := range stored {
		if s == nil {
			continue
		}
		select {
		case <-s.Ok():
			if e := batch[i].Ack(); e != nil && err == nil {
				err = e
			}
		case e := <-s.Err():
			if err == nil {
				err = fmt.Errorf("%s: %w", answered[i].Subject, e)
			}
		}
	}
	working()
	return err
}

// report tells the server that the work on the batch is in progress, several times
// in each interval of ackWait, until the caller calls done.
func (c *consumer) report(batch []jetstream.Msg) (done func()) {
	stop := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		tick := time.NewTicker(c.limits.ackWait / 4)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				for _, m := range batch {
					m.InProgress() // a lost report is repeated; acknowledged messages ignore it
				}
			}
		}
	})
	return func() {
		close(stop)
		reporter.Wait()
	}
}

// answer returns the message with the result of m, or the poison message.
func (c *consumer) answer(m jetstream.Msg) *nats.Msg {
	id := strings.TrimPrefix(m.Subject(), workSubject)
	meta, err := m.Metadata()
	if err != nil { // it was not delivered by JetStream
		return c.poison(id, "", m, err)
	}
	// A second result for the same message has the same key.
	key := strconv.FormatUint(meta.Sequence.Stream, 10)
	if meta.NumDelivered > uint64(c.limits.deliveries) {
		return c.poison(id, key, m, fmt.Errorf("delivered %d times without a result: consumers died", meta.NumDelivered-1))
	}
	classes, err := c.classify(m.Data())
	if err != nil {
		return c.poison(id, key, m, err)
	}
	body, err := json.Marshal(struct {
		ID      string  `json:"id"`
		Classes []class `json:"classes"`
	}{id, classes})
	if err != nil { // a score is not a number
		return c.poison(id, key, m, err)
	}
	return &nats.Msg{Subject: resultSubject + id, Data: body, Header: nats.Header{jetstream.MsgIDHeader: {key}}}
}

func (c *consumer) poison(id, key string, m jetstream.Msg, reason error) *nats.Msg {
	c.log.Warn("poison", "id", id, "error", reason)
	return &nats.Msg{Subject: poisonSubject + id, Data: m.Data(), Header: nats.Header{jetstream.MsgIDHeader: {key}, reasonHeader: {reason.Error()}}}
}
