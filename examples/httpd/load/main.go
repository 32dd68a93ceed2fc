// Command load sends pictures to the service and prints throughput and latency. Each
// connection has one request in progress at a time.
//
//	go run ./load -c 16 -n 20000 ../../testdata/digits/*.png
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	url := flag.String("url", "http://localhost:8080/classify", "`URL` of the service")
	connections := flag.Int("c", 16, "number of connections")
	requests := flag.Int("n", 10000, "number of requests")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: load [flags] PICTURE …")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 || *connections < 1 || *requests < 1 {
		flag.Usage()
		os.Exit(2)
	}
	var pictures [][]byte
	for _, path := range flag.Args() {
		b, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		pictures = append(pictures, b)
	}
	r := send(*url, *connections, *requests, pictures)
	r.print(os.Stdout)
	if r.lost > 0 {
		log.Fatal("the first that was lost: ", r.err)
	}
}

// result holds the results of the requests.
type result struct {
	connections int
	took        time.Duration
	statuses    map[int]int
	latencies   []time.Duration // latencies of responses with status 200, ascending
	lost        int             // number of requests without a response
	err         error           // error of the first lost request
}

// send sends the given number of requests. It cycles through the pictures.
func send(url string, connections, requests int, pictures [][]byte) *result {
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	r := &result{connections: connections, statuses: map[int]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan []byte)
	start := time.Now()
	for range connections {
		wg.Go(func() {
			for picture := range next {
				start := time.Now()
				status, err := post(client, url, picture)
				took := time.Since(start)
				mu.Lock()
				switch {
				case err != nil && r.lost == 0:
					r.err = err
					fallthrough
				case err != nil:
					r.lost++
				default:
					r.statuses[status]++
					if status == http.StatusOK {
						r.latencies = append(r.latencies, took)
					}
				}
				mu.Unlock()
			}
		})
	}
	for i := range requests {
		next <- pictures[i%len(pictures)]
	}
	close(next)
	wg.Wait()
	r.took = time.Since(start)
	slices.Sort(r.latencies)
	return r
}

func post(c *http.Client, url string, picture []byte) (status int, err error) {
	resp, err := c.Post(url, http.DetectContentType(picture), bytes.NewReader(picture))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func (r *result) print(w io.Writer) {
	answered := len(r.latencies)
	fmt.Fprintf(w, "%d connections, %.2f s: %.0f answers a second\n", r.connections, r.took.Seconds(), float64(answered)/r.took.Seconds())
	for _, status := range slices.Sorted(maps.Keys(r.statuses)) {
		fmt.Fprintf(w, "  %d %s: %d\n", status, http.StatusText(status), r.statuses[status])
	}
	fmt.Fprintf(w, "  lost: %d\n", r.lost)
	if answered == 0 {
		return
	}
	fmt.Fprint(w, "  latency in ms:")
	for _, p := range []float64{50, 90, 99, 99.9, 100} {
		i := min(int(p/100*float64(answered)), answered-1)
		fmt.Fprintf(w, "  %g %% %.2f", p, float64(r.latencies[i].Microseconds())/1e3)
	}
	fmt.Fprintln(w)
}
