package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/parquetio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/passert"
	"github.com/google/go-cmp/cmp"

	"modelc/runtime/vision"

	modelc "modelc/interop/beam"
	"modelc/interop/beam/digits"
)

var (
	count = flag.Int("images", 300, "number of pictures")
	flink = flag.Bool("flink", false, "run pipelines on Flink")
)

// progressFile is the environment variable with the path of a file to which workers
// add a byte for every picture.
const progressFile = "CLASSIFY_TEST_PROGRESS"

func init() {
	modelc.Register("observed", modelc.Network{Digest: "observed", Open: func(string) (func() modelc.Session, error) {
		m, err := digits.New()
		if err != nil {
			return nil, err
		}
		f, err := os.OpenFile(os.Getenv(progressFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		return func() modelc.Session { return observed{m.NewSession(digits.Threads(1)), f} }, nil
	}})
}

type observed struct {
	*digits.Session
	progress *os.File
}

func (o observed) Predict(img image.Image) ([]vision.Class, error) {
	if _, err := o.progress.Write([]byte{'.'}); err != nil {
		return nil, err
	}
	time.Sleep(4 * time.Millisecond) // so that few pictures do not end before one worker is killed
	return o.Session.Predict(img)
}

// The test program is also the worker that Flink starts.
func TestMain(m *testing.M) {
	flag.Parse()
	beam.Init()
	os.Exit(m.Run())
}

// pictures writes count pictures to a folder, of which every 100th is damaged. It
// returns the pattern that matches them and the number of damaged ones.
func pictures(t *testing.T, count int) (pattern string, damaged int) {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("../../../../testdata/digits/*.png")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pictures: %v", len(files), err)
	}
	for i := range count {
		b, err := os.ReadFile(files[i%len(files)])
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%05d.png", i)
		if i%100 == 50 {
			b, name, damaged = b[:len(b)/2], fmt.Sprintf("%05d-damaged.png", i), damaged+1
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "*.png"), damaged
}

// want is the tally of the results that modelc run prints for the pictures that are
// not damaged.
func want(t *testing.T, pattern string) (tally modelc.Tally) {
	t.Helper()
	files, err := filepath.Glob(strings.Replace(pattern, "*", "?????", 1))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", append([]string{"tool", "modelc", "run", "--json", "--engine", "inproc", "--labels", "labels.txt", "../../../../testdata/digits/lenet5.onnx"}, files...)...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var answers []struct {
		File    string
		Outputs []struct{ Classes []modelc.Class }
	}
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		line, err := resultLine(modelc.Result{File: a.File, Classes: a.Outputs[0].Classes})
		if err != nil {
			t.Fatal(err)
		}
		tally = tally.Add(line)
	}
	return tally
}

// execute runs the pipeline and returns its summary.
func execute(t *testing.T, runner, network, pattern, output string) summary {
	t.Helper()
	p, s := beam.NewPipelineWithRoot()
	pipeline(s, network, []string{pattern}, output, modelc.Options{Batch: 16})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	result, err := beam.Run(ctx, runner, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range result.Metrics().AllMetrics().Counters() {
		if c.Key.Namespace == "modelc" {
			t.Logf("counter %s: %d", c.Key.Name, c.Result())
		}
	}
	for _, d := range result.Metrics().AllMetrics().Distributions() {
		if d.Key.Namespace == "modelc" {
			t.Logf("distribution %s: %+v", d.Key.Name, d.Result())
		}
	}
	sum, err := readSummary(ctx, output)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// check compares a summary, and the lines of the output, with modelc run.
func check(t *testing.T, pattern, output string, damaged int, sum summary) {
	t.Helper()
	w := want(t, pattern)
	wanted := summary{w.Count + int64(damaged), w.Count, int64(damaged), hex.EncodeToString(w.Digest)}
	if d := cmp.Diff(wanted, sum); d != "" {
		t.Errorf("modelc run and the pipeline:\n%s", d)
	}
	var lines modelc.Tally
	seen := map[string]bool{}
	for _, l := range readLines(t, output) {
		var r modelc.Result
		if err := json.Unmarshal([]byte(l), &r); err != nil || seen[r.File] {
			t.Fatalf("%v: a second result in line %s", err, l)
		}
		seen[r.File] = true
		lines = lines.Add(l)
	}
	if d := cmp.Diff(w, lines); d != "" {
		t.Errorf("modelc run and the lines:\n%s", d)
	}
	errs := readLines(t, output+".errors")
	if len(errs) != damaged {
		t.Errorf("%d errors, want %d", len(errs), damaged)
	}
	for _, e := range errs {
		if !strings.Contains(e, "-damaged.png") || !strings.Contains(e, "damaged picture") {
			t.Errorf("error %s", e)
		}
	}
	t.Logf("%d files, %d results, %d failures, digest %s, as modelc run", sum.Files, sum.Results, sum.Failures, sum.Digest)
}

func readLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func TestPrism(t *testing.T) {
	pattern, damaged := pictures(t, *count)
	output := filepath.Join(t.TempDir(), "out.jsonl")
	start := time.Now()
	sum := execute(t, "prism", "digits", pattern, output)
	t.Logf("Prism took %v", time.Since(start).Round(time.Millisecond))
	check(t, pattern, output, damaged, sum)
}

func TestParquet(t *testing.T) {
	pattern, damaged := pictures(t, 120)
	output := filepath.Join(t.TempDir(), "out.parquet")
	sum := execute(t, "prism", "digits", pattern, output)
	if sum.Results != int64(120-damaged) {
		t.Errorf("%+v", sum)
	}
	p, s := beam.NewPipelineWithRoot()
	rows := parquetio.Read(s, output, reflect.TypeFor[row]())
	passert.Count(s, rows, "rows", 120-damaged)
	if _, err := beam.Run(t.Context(), "prism", p); err != nil {
		t.Fatal(err)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	p, s := beam.NewPipelineWithRoot()
	pipeline(s, "digits", []string{filepath.Join(dir, "*.png")}, filepath.Join(dir, "out.jsonl"), modelc.Options{})
	if _, err := beam.Run(t.Context(), "prism", p); err == nil || !strings.Contains(err.Error(), "no files matching") {
		t.Errorf("no files: %v", err)
	}
	output := filepath.Join(dir, "lost.jsonl")
	if err := os.WriteFile(output+".summary.json", []byte(`{"files":3,"results":1,"failures":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readSummary(t.Context(), output); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("a lost file: %v", err)
	}
}

func TestDigest(t *testing.T) {
	b, err := os.ReadFile("../../digits/model.go")
	if err != nil || !strings.Contains(string(b), "// Model SHA-256: "+digest+"\n") {
		t.Errorf("%s is not the digest of the model: %v", digest, err)
	}
}

// Flink runs the pipeline with the worker in this process and in processes of its
// own, of which one is killed half-way.
func TestFlink(t *testing.T) {
	if !*flink {
		t.Skip("wants -flink")
	}
	port := jobServer(t)
	*jobopts.Endpoint = "localhost:" + port
	*jobopts.Parallelism = 2
	pattern, damaged := pictures(t, *count)

	t.Run("loopback", func(t *testing.T) {
		*jobopts.EnvironmentType = "LOOPBACK"
		output := filepath.Join(t.TempDir(), "out.jsonl")
		start := time.Now()
		sum := execute(t, "universal", "digits", pattern, output)
		t.Logf("Flink took %v", time.Since(start).Round(time.Millisecond))
		check(t, pattern, output, damaged, sum)
	})
	t.Run("process", func(t *testing.T) {
		boot := filepath.Join(t.TempDir(), "boot")
		if out, err := exec.Command("go", "build", "-o", boot, "github.com/apache/beam/sdks/v2/go/container").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		config, err := json.Marshal(map[string]string{"command": boot})
		if err != nil {
			t.Fatal(err)
		}
		*jobopts.EnvironmentType, *jobopts.EnvironmentConfig, *jobopts.WorkerBinary = "PROCESS", string(config), os.Args[0]
		output := filepath.Join(t.TempDir(), "out.jsonl")
		killed := make(chan int)
		go func() { killed <- killWorker(*count / 2) }()
		sum := execute(t, "universal", "observed", pattern, output)
		pid := <-killed
		if pid == 0 {
			t.Fatal("no worker was killed")
		}
		if progress() <= *count {
			t.Errorf("%d pictures were computed for %d files: the kill came too late", progress(), *count)
		}
		t.Logf("worker %d was killed half-way; %d pictures were computed for %d files", pid, progress(), *count)
		check(t, pattern, output, damaged, sum)
	})
}

func progress() int {
	info, err := os.Stat(os.Getenv(progressFile))
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// killWorker waits until workers have computed n pictures and kills one. It returns
// its process, or 0.
func killWorker(n int) int {
	for range 6000 {
		time.Sleep(50 * time.Millisecond)
		if progress() < n {
			continue
		}
		if w := workers(); len(w) > 0 && w[0].Kill() == nil {
			return w[0].Pid
		}
	}
	return 0
}

// workers returns the processes that Flink started for this test. They inherit the
// variable with the path of the progress file.
func workers() (found []*os.Process) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(l)))
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(l), "environ"))
		if target, err := os.Readlink(l); err == nil && filepath.Base(target) == "worker" && bytes.Contains(env, []byte(progressFile+"="+os.Getenv(progressFile))) {
			if p, err := os.FindProcess(pid); err == nil {
				found = append(found, p)
			}
		}
	}
	return found
}

// jobServer starts Flink and returns its port.
func jobServer(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"mvn", "java"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s: Flink is not tested", tool)
		}
	}
	t.Setenv(progressFile, filepath.Join(t.TempDir(), "progress"))
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	c := exec.Command("../../flink/job-server", port)
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	t.Cleanup(func() {
		c.Process.Kill()
		<-done
		for _, w := range workers() { // they outlive the job server
			w.Kill()
		}
		if t.Failed() {
			t.Logf("job server:\n%s", log.Bytes()[max(0, log.Len()-20000):])
		}
	})
	for range 600 {
		select {
		case err := <-done:
			done <- err
			t.Skipf("Flink is not tested: %v\n%s", err, &log)
		case <-time.After(500 * time.Millisecond):
		}
		if conn, err := net.Dial("tcp", "localhost:"+port); err == nil {
			conn.Close()
			return port
		}
	}
	t.Fatal("the job server does not start")
	return ""
}
