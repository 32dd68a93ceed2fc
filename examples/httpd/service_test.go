package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "run the tests with another network, and build for another machine, too")

// picture is a file with the expected answer.
type picture struct {
	name string
	file []byte
	want answer
}

// pictures returns pictures of several sizes as PNG and JPEG, with the answers of a
// single session. They work for any network.
func pictures(t *testing.T) []picture {
	t.Helper()
	m := loaded(t)[0]
	session, err := m.get()
	if err != nil {
		t.Fatal(err)
	}
	defer m.put(session)
	var list []picture
	for seed, size := range []image.Point{{28, 28}, {64, 48}, {1, 200}, {301, 200}} {
		img := drawn(uint64(seed), size)
		var asPNG, asJPEG bytes.Buffer
		if err := png.Encode(&asPNG, img); err != nil {
			t.Fatal(err)
		}
		if err := jpeg.Encode(&asJPEG, img, nil); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%d×%d", size.X, size.Y)
		list = append(list, picture{name: name + ".png", file: asPNG.Bytes()}, picture{name: name + ".jpg", file: asJPEG.Bytes()})
	}
	for i := range list {
		p := &list[i]
		img, _, err := image.Decode(bytes.NewReader(p.file))
		if err != nil {
			t.Fatal(err)
		}
		classes, err := session.Predict(img)
		if err != nil {
			t.Fatal(err)
		}
		p.want.Scores = m.scores
		for _, c := range classes {
			p.want.Classes = append(p.want.Classes, class{c.Index, c.Name, c.Score})
		}
	}
	return list
}

// drawn returns a picture of soft shapes.
func drawn(seed uint64, size image.Point) image.Image {
	r := rand.New(rand.NewPCG(seed, 1))
	var fx, fy, phase [3]float64
	for c := range 3 {
		fx[c], fy[c], phase[c] = 12*r.Float64(), 12*r.Float64(), 6*r.Float64()
	}
	img := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			level := func(c int) uint8 {
				return uint8(128 + 127*math.Sin(fx[c]*float64(x)/float64(size.X)+fy[c]*float64(y)/float64(size.Y)+phase[c]))
			}
			img.Set(x, y, color.RGBA{level(0), level(1), level(2), 255})
		}
	}
	return img
}

// loaded returns the models of the service.
func loaded(t *testing.T) []*model {
	t.Helper()
	models := newModels()
	for _, m := range models {
		if err := m.load(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.close)
	}
	return models
}

func testService(t *testing.T, sessions, queue int, l limits) *service {
	t.Helper()
	s := newService(loaded(t), newGate(sessions, queue), l, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if work, inside := len(s.gate.work), len(s.gate.inside); work > 0 || inside > 0 {
			t.Errorf("at the end %d requests are at work and %d inside", work, inside)
		}
	})
	return s
}

// start serves until stop is called, which returns the error of serve.
func start(t *testing.T, s *service, ln net.Listener, drain time.Duration) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln, s, drain, 10*time.Second) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return stop
}

// listener counts connections.
type listener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

func listenLocal(t *testing.T) (ln *listener, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &listener{Listener: l}, "http://" + l.Addr().String()
}

func ask(c *http.Client, url string, file []byte) (status int, a answer, err error) {
	resp, err := c.Post(url+"/classify", http.DetectContentType(file), bytes.NewReader(file))
	if err != nil {
		return 0, a, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body) // the connection is only reused after reading to the end
	if err != nil {
		return 0, a, err
	}
	return resp.StatusCode, a, json.Unmarshal(b, &a)
}

// A thousand requests over 16 connections share three sessions, or fewer requests if
// the network is slow. Every answer is bit-identical to that of a single session.
func TestThousandRequests(t *testing.T) {
	const connections = 16
	list := pictures(t)
	requests := min(1000, max(4*connections, int64(10*time.Second/oneRun(t))))
	s := testService(t, 3, connections, defaults)
	s.limits.wait = time.Minute
	ln, url := listenLocal(t)
	stop := start(t, s, ln, 0)
	for range cap(s.gate.work) { // until every connection has a request waiting
		s.gate.work <- struct{}{}
	}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
	var wg sync.WaitGroup
	var next, answered atomic.Int64
	for range connections {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < requests; i = next.Add(1) - 1 {
				p := list[i%int64(len(list))]
				status, a, err := ask(client, url, p.file)
				if err != nil || status != http.StatusOK {
					t.Errorf("request %d: status %d, %s %v", i, status, a.Error, err)
					continue
				}
				answered.Add(1)
				if !reflect.DeepEqual(a, p.want) {
					t.Errorf("%s: answer %+v, want %+v", p.name, a, p.want)
				}
			}
		})
	}
	eventually(t, "sixteen requests wait", func() bool { return len(s.gate.inside) == connections })
	for range cap(s.gate.work) {
		s.gate.end()
	}
	wg.Wait()
	// On a busy machine a client may replace a connection, so the total may be
	// higher, but not the number at the same time.
	if a, c := answered.Load(), ln.accepted.Load(); a != requests || c < connections {
		t.Errorf("%d answers over %d connections", a, c)
	} else {
		t.Logf("%d answers over %d connections", a, c)
	}
	metrics, name := get(t, url+"/metrics"), s.models[0].name
	for _, line := range []string{
		fmt.Sprintf(`httpd_requests_total{code="200",model="%s"} %d`, name, requests), fmt.Sprintf(`httpd_request_seconds_count{model="%s"} %d`, name, requests),
		fmt.Sprintf(`httpd_wait_seconds_count{model="%s"} %d`, name, requests), fmt.Sprintf(`httpd_work_seconds_bucket{model="%s",le="+Inf"} %d`, name, requests),
		"httpd_sessions 3", "httpd_sessions_busy 0", "httpd_requests_inside 0",
	} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("no %q in\n%s", line, metrics)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// oneRun returns the time of classifying a picture.
func oneRun(t *testing.T) time.Duration {
	t.Helper()
	m := loaded(t)[0]
	session, err := m.get()
	if err != nil {
		t.Fatal(err)
	}
	defer m.put(session)
	img := drawn(0, image.Pt(28, 28))
	begin := time.Now()
	if _, err := session.Predict(img); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, resp.Status, err)
	}
	return string(b)
}

// Requests are limited, and the response names the error.
func TestBadRequests(t *testing.T) {
	good := pictures(t)[0].file
	s := testService(t, 1, 1, limits{bytes: 64 << 10, pixels: 1 << 20, read: time.Minute, wait: time.Minute})
	form := func(field, file string, b []byte) (body []byte, contentType string) {
		var buf bytes.Buffer
		w := multipart.NewWriter(&buf)
		w.WriteField("title", "a digit")
		if file != "" {
			part, _ := w.CreateFormFile(field, file)
			part.Write(b)
		}
		w.Close()
		return buf.Bytes(), w.FormDataContentType()
	}
	for _, c := range []struct {
		name, method, path string
		body               func() ([]byte, string)
		status             int
		want               string
	}{
		{"a form", "POST", "/classify", func() ([]byte, string) { return form("image", "0.png", good) }, 200, `"classes":[{"index":`},
		{"a wrong type of a good picture", "POST", "/classify", func() ([]byte, string) { return good, "text/plain" }, 200, `"classes":[{"index":`},
		{"a form without file", "POST", "/classify", func() ([]byte, string) { return form("", "", nil) }, 400, "no file"},
		{"a broken form", "POST", "/classify", func() ([]byte, string) { return good, "multipart/form-data; boundary=x" }, 400, "damaged"},
		{"nothing", "POST", "/classify", func() ([]byte, string) { return nil, "image/png" }, 415, "JPEG or PNG"},
		{"text", "POST", "/classify", func() ([]byte, string) { return []byte("hello"), "image/png" }, 415, "JPEG or PNG"},
		{"half a picture", "POST", "/classify", func() ([]byte, string) { return good[:len(good)/2], "image/png" }, 400, "damaged"},
		{"half a header", "POST", "/classify", func() ([]byte, string) { return good[:12], "image/png" }, 400, "damaged"},
		{"too many bytes", "POST", "/classify", func() ([]byte, string) { return make([]byte, 64<<10+1), "image/png" }, 413, "more than 65536 bytes"},
		{"too many bytes in a form", "POST", "/classify", func() ([]byte, string) { return form("image", "0.png", make([]byte, 64<<10)) }, 413, "more than 65536 bytes"},
		{"too many pixels", "POST", "/classify", func() ([]byte, string) { return header(60000, 60000), "image/png" }, 413, "60000×60000 pixels"},
		{"one pixel too many", "POST", "/classify", func() ([]byte, string) { return header(1<<20+1, 1), "image/png" }, 413, "1048577×1 pixels"},
		{"another method", "GET", "/classify", nil, 405, ""},
		{"another path", "POST", "/", nil, 404, ""},
		{"health", "GET", "/healthz", nil, 200, "ok"},
		{"a model by name", "POST", "/classify/" + s.models[1].name, func() ([]byte, string) { return good, "image/png" }, 200, `"classes":[{"index":`},
		{"an unknown model", "POST", "/classify/nonesuch", func() ([]byte, string) { return good, "image/png" }, 404, "the models are network, resnet"},
	} {
		var body []byte
		var contentType string
		if c.body != nil {
			body, contentType = c.body()
		}
		r := httptest.NewRequest(c.method, c.path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: status %d, want %d\n%s", c.name, w.Code, c.status, w.Body)
		}
	}
}

// header returns the header of a PNG file of the given size, whose pixels need
// gigabytes.
func header(width, height uint32) []byte {
	chunk := []byte("IHDR")
	chunk = binary.BigEndian.AppendUint32(chunk, width)
	chunk = binary.BigEndian.AppendUint32(chunk, height)
	chunk = append(chunk, 8, 2, 0, 0, 0) // 8 bits, RGB
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	b = append(b, chunk...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
}

// If all sessions are busy and the queue is full, the service refuses a request
// immediately. It also refuses a request that waits too long. Both responses have a
// Retry-After header.
func TestOverload(t *testing.T) {
	p := pictures(t)[0]
	s := testService(t, 1, 1, limits{bytes: 1 << 20, pixels: 1 << 20, read: time.Minute, wait: 50 * time.Millisecond})
	s.gate.work <- struct{}{}
	post := func(ctx context.Context) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/classify", bytes.NewReader(p.file)))
		return w
	}
	refused := func(w *httptest.ResponseRecorder, why string) {
		t.Helper()
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), why) {
			t.Errorf("status %d, header %v\n%s", w.Code, w.Header(), w.Body)
		}
	}
	refused(post(t.Context()), "no session was free for 50ms")
	s.gate.enter()
	s.gate.enter()
	refused(post(t.Context()), "too many requests")
	s.gate.leave()
	s.gate.leave()

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if w := post(gone); w.Code != statusGone {
		t.Errorf("status %d", w.Code)
	}
	s.gate.end()
	if w := post(gone); w.Code != statusGone {
		t.Errorf("status %d", w.Code)
	}
	if w := post(t.Context()); w.Code != http.StatusOK {
		t.Errorf("status %d\n%s", w.Code, w.Body)
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for code, n := range map[int]int{200: 1, 499: 2, 503: 2} {
		line := fmt.Sprintf(`httpd_requests_total{code="%d",model="%s"} %d`, code, s.models[0].name, n)
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no %q in\n%s", line, w.Body)
		}
	}
}

// A client that stops sending does not occupy a session, and gets an error after the
// time limit.
func TestSlowClient(t *testing.T) {
	p := pictures(t)[0]
	s := testService(t, 1, 1, limits{bytes: 1 << 20, pixels: 1 << 20, read: 300 * time.Millisecond, wait: time.Minute})
	ln, url := listenLocal(t)
	start(t, s, ln, 0)
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /classify HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", len(p.file), p.file[:100])
	if status, a, err := ask(http.DefaultClient, url, p.file); status != http.StatusOK || err != nil {
		t.Errorf("beside it: status %d, %+v, %v", status, a, err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 408 ")) {
		t.Errorf("%q, %v", answer, err)
	}
}

// During shutdown the service reports 503 to load balancers, answers the requests in
// progress, and accepts no new connections.
func TestShutdown(t *testing.T) {
	p := pictures(t)[0]
	s := testService(t, 1, 1, defaults)
	s.limits.wait = time.Minute
	ln, url := listenLocal(t)
	stop := start(t, s, ln, 500*time.Millisecond)
	if got := get(t, url+"/healthz"); got != "ok\n" {
		t.Errorf("healthz says %q", got)
	}
	s.gate.work <- struct{}{}
	type reply struct {
		status int
		a      answer
		err    error
	}
	waiting, stopped := make(chan reply, 1), make(chan error, 1)
	go func() {
		status, a, err := ask(http.DefaultClient, url, p.file)
		waiting <- reply{status, a, err}
	}()
	eventually(t, "a request waits", func() bool { return len(s.gate.inside) == 1 })
	go func() { stopped <- stop() }()
	eventually(t, "healthz says that it is shutting down", func() bool {
		resp, err := http.Get(url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	eventually(t, "nobody is let in", func() bool {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Errorf("stopped with a request inside: %v", err)
	default:
	}
	s.gate.end()
	if r := <-waiting; r.err != nil || r.status != http.StatusOK || !reflect.DeepEqual(r.a, p.want) {
		t.Errorf("%+v", r)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 2000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("in vain: ", what)
}
