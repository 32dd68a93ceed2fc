package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// metrics holds the service's counters and writes them in Prometheus' text format.
type metrics struct {
	mu       sync.Mutex
	statuses map[int]int // number of responses by status

	answers histogram // latency of requests that were answered with classes
	waited  histogram // time of waiting for a session
	worked  histogram // time of decoding and of the network
}

func newMetrics() *metrics { return &metrics{statuses: map[int]int{}} }

func (m *metrics) answered(status int, took time.Duration) {
	m.mu.Lock()
	m.statuses[status]++
	m.mu.Unlock()
	if status == http.StatusOK {
		m.answers.observe(took)
	}
}

func (m *metrics) write(w io.Writer, p *pool) {
	fmt.Fprint(w, "# HELP httpd_requests_total Answers by status.\n# TYPE httpd_requests_total counter\n")
	m.mu.Lock()
	for _, status := range slices.Sorted(maps.Keys(m.statuses)) {
		fmt.Fprintf(w, "httpd_requests_total{code=\"%d\"} %d\n", status, m.statuses[status])
	}
	m.mu.Unlock()
	for _, g := range []struct {
		name, help string
		value      int
	}{
		{"sessions", "Sessions of the network.", cap(p.free)},
		{"sessions_busy", "Sessions at work.", cap(p.free) - len(p.free)},
		{"requests_inside", "Requests at work or waiting.", len(p.inside)},
	} {
		fmt.Fprintf(w, "# HELP httpd_%s %s\n# TYPE httpd_%[1]s gauge\nhttpd_%[1]s %[3]d\n", g.name, g.help, g.value)
	}
	m.answers.write(w, "httpd_request_seconds", "Whole requests that were answered with classes.")
	m.waited.write(w, "httpd_wait_seconds", "Waiting for a session.")
	m.worked.write(w, "httpd_work_seconds", "Decoding a picture and running the network.")
}

// bounds lists the upper bounds of a histogram's buckets.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// histogram counts durations. The zero value is empty.
type histogram struct {
	counts [len(bounds) + 1]atomic.Int64 // the last bucket is for values above all bounds
	sum    atomic.Int64                  // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], d)
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) write(w io.Writer, name, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s histogram\n", name, help)
	total := int64(0)
	for i := range h.counts {
		le := "+Inf"
		if i < len(bounds) {
			le = fmt.Sprint(bounds[i].Seconds())
		}
		total += h.counts[i].Load()
		fmt.Fprintf(w, "%s_bucket{le=\"%s\"} %d\n", name, le, total)
	}
	fmt.Fprintf(w, "%s_sum %g\n%[1]s_count %[3]d\n", name, time.Duration(h.sum.Load()).Seconds(), total)
}
