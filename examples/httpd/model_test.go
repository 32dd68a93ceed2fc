package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"modelc/runtime"
)

// retrained writes a file of weights for the package network, with other values than
// its own.
func retrained(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile("network/weights.bin")
	if err != nil {
		t.Fatal(err)
	}
	const header = 128
	old := sha256.Sum256(b[header:])
	at := bytes.Index(b[:header], old[:])
	if at < 0 {
		t.Fatal("the header of weights.bin does not have the digest of the weights")
	}
	for i := header; i+4 <= len(b); i += 4 {
		b[i+2] ^= 0x10 // a bit of the fraction of a float32
	}
	sum := sha256.Sum256(b[header:])
	copy(b[at:], sum[:])
	replaceFile(t, path, b)
}

// replaceFile replaces a file as `modelc weights` does: the old one may be mapped.
func replaceFile(t *testing.T, path string, b []byte) {
	t.Helper()
	err := os.WriteFile(path+".new", b, 0o644)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A reload replaces weights in files while the service answers: every answer is that of
// the old weights or of the new ones, and later answers are those of the new ones. A
// model keeps its weights if the new ones are refused. Models with the weights in their
// package are not loaded again.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "weights.bin")
	own, err := os.ReadFile("network/weights.bin")
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, file, own)
	models := newModels()
	if err := setWeights(models, models[0].name+"="+file); err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		if err := m.load(); err != nil {
			t.Fatal(err)
		}
		defer m.close()
	}
	s := newService(models, newGate(2, 16), defaults, slog.New(slog.DiscardHandler))
	p := pictures(t)[3]
	ask := func() (a answer) {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest("POST", "/classify", bytes.NewReader(p.file)))
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
			t.Errorf("status %d, %s, %v", w.Code, w.Body, err)
		}
		return a
	}
	first := ask()
	if !reflect.DeepEqual(first, p.want) {
		t.Fatalf("the package's weights in a file give %+v, want %+v", first, p.want)
	}
	digest := models[0].info().WeightsSHA256

	var mu sync.Mutex
	var during []answer
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					a := ask()
					mu.Lock()
					during = append(during, a)
					mu.Unlock()
				}
			}
		})
	}
	retrained(t, file)
	s.reload()
	second := ask()
	if reflect.DeepEqual(first, second) || models[0].info().WeightsSHA256 == digest {
		t.Error("the retrained weights give the answer of the old ones")
	}
	for i := range 20 { // there and back
		if i%2 == 0 {
			replaceFile(t, file, own)
		} else {
			retrained(t, file)
		}
		s.reload()
		if want := []answer{first, second}[i%2]; !reflect.DeepEqual(ask(), want) {
			t.Errorf("reload %d: not the answer of the new weights", i)
		}
	}
	close(stop)
	wg.Wait()
	for _, a := range during {
		if !reflect.DeepEqual(a, first) && !reflect.DeepEqual(a, second) {
			t.Errorf("answer %+v, want %+v or %+v", a, first, second)
		}
	}

	digest = models[0].info().WeightsSHA256
	replaceFile(t, file, []byte("not weights"))
	s.reload()
	if !reflect.DeepEqual(ask(), second) || models[0].info().WeightsSHA256 != digest {
		t.Error("damaged weights replaced the old ones")
	}
	if err := models[0].load(); !errors.Is(err, runtime.ErrWeights) {
		t.Errorf("damaged weights: %v", err)
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`httpd_reloads_total{model="network",result="ok"} 21`,
		`httpd_reloads_total{model="network",result="failed"} 1`,
		`weights_sha256="` + digest + `"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no %q in\n%s", line, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), `httpd_reloads_total{model="resnet"`) {
		t.Error("a model with the weights in its package was loaded again")
	}
}

// /info describes the build and every model.
func TestInfo(t *testing.T) {
	s := testService(t, 1, 1, defaults)
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("GET", "/info", nil))
	var a struct {
		Build  build
		Models map[string]runtime.Info
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if a.Build.Go == "" || len(a.Models) != len(s.models) {
		t.Errorf("%+v", a)
	}
	for _, m := range s.models {
		if i := a.Models[m.name]; i.ModelSHA256 == "" || i.WeightsSource != "embedded" || i.SessionBytes == 0 || len(i.Inputs) != 1 {
			t.Errorf("%s: %+v", m.name, i)
		}
	}
}

// The flag -weights names a model and a file.
func TestWeightsFlag(t *testing.T) {
	for arg, want := range map[string]string{
		"network=a=b": "", "network": "want MODEL=FILE", "network=": "want MODEL=FILE", "nonesuch=x": "the models are network, resnet",
	} {
		models := newModels()
		err := setWeights(models, arg)
		if want == "" && (err != nil || models[0].weights != "a=b") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", arg, err)
		}
	}
}
