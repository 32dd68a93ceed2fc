package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Every request is sent once and counted once by its status. A request without a
// response is counted as lost.
func TestSend(t *testing.T) {
	var n, bytes atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bytes.Add(int64(len(b)))
		switch n.Add(1) % 10 {
		case 0:
			panic(http.ErrAbortHandler) // send no response
		case 1, 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	r := send(s.URL, 4, 200, [][]byte{[]byte("a"), []byte("bcd")})
	if r.statuses[200] != 140 || r.statuses[503] != 40 || r.lost != 20 || r.err == nil || n.Load() != 200 || bytes.Load() != 400 {
		t.Errorf("%d requests, %d bytes: %+v", n.Load(), bytes.Load(), r)
	}
	if len(r.latencies) != 140 || r.latencies[0] <= 0 || r.latencies[0] > r.latencies[139] {
		t.Errorf("latencies %v", r.latencies)
	}
	var b strings.Builder
	r.print(&b)
	for _, want := range []string{"4 connections, ", "  200 OK: 140\n", "  503 Service Unavailable: 40\n", "  lost: 20\n", "  99.9 % "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}
