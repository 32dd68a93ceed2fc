package hdf5

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestCorpus walks every object of every Keras file of the corpus.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("MODELC_CORPUS")
	if dir == "" {
		t.Skip("MODELC_CORPUS is not set: files from outside are not tested")
	}
	var files []string
	for _, p := range []string{"keras-small/*/model.h5", "keras-small/*/model.keras", "models/keras/*/model.h5", "models/keras/*/model.keras"} {
		list, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list...)
	}
	if len(files) < 150 {
		t.Fatalf("%d files", len(files))
	}
	objects := 0
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(path) == ".keras" {
			b = unzip(t, b, "model.weights.h5")
		}
		f, err := Open(Bytes(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		root, err := f.Root()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		n, err := walkAll(root)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		objects += n
	}
	t.Logf("%d files, %d objects", len(files), objects)
	if objects < 10000 {
		t.Error("that is too few")
	}
}

func unzip(t *testing.T, b []byte, name string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// walkAll opens all objects below a group, reads their data and the attributes
// that Keras writes, and counts the objects.
func walkAll(g *Group) (int, error) {
	for _, name := range []string{"layer_names", "weight_names", "layer_names0", "weight_names0", "keras_version", "model_config", "name"} {
		if a, err := g.Attr(name); err != nil {
			return 0, err
		} else if a != nil {
			if _, err := a.Strings(); err != nil {
				return 0, err
			}
		}
	}
	total := 1
	for _, name := range g.Names() {
		sub, err := g.Group(name)
		if err == nil {
			n, err := walkAll(sub)
			if err != nil {
				return 0, err
			}
			total += n
			continue
		}
		d, err := g.Dataset(name)
		if err != nil {
			return 0, err
		}
		if _, err := d.Bytes(); err != nil {
			return 0, err
		}
		total++
	}
	return total, nil
}
