// Package keras reads models saved by Keras into the IR: .keras archives
// (Keras 2.13 and later), whole-model .h5 files (Keras 2 and 3), and the pair
// of a JSON configuration and a file of weights. It needs no Python, and code
// in a file is never run: Lambda and custom layers are refused by name.
//
// config.go turns the configurations of both major versions into one form,
// weights.go finds each layer's variables, import.go walks the layers, and
// the layers stand in one file per family, listed by [Table].
//
// The graph keeps Keras's layout at its inputs and outputs (channels last,
// unless the model has them first). Convolutions and pools of the IR have
// channels first, so each stands between two transpositions, which the passes
// cancel.
package keras

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"modelc/frontend/keras/hdf5"
	"modelc/frontend/source"
	"modelc/ir"
)

// file is a model taken apart: its configuration and where its weights are.
type file struct {
	format   string // for people
	version  string // of the Keras that wrote it, "" if it does not tell
	config   *record
	store    store
	metadata map[string]string
}

func isZip(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("PK\x05\x06"))
}
func isHDF5(b []byte) bool { return bytes.HasPrefix(b, []byte("\x89HDF\r\n\x1a\n")) }

// isJSON wants a quote behind the brace: a byte of ONNX may be a brace too.
func isJSON(b []byte) bool {
	const blank = " \t\r\n"
	b, brace := bytes.CutPrefix(bytes.TrimLeft(b, blank), []byte("{"))
	return brace && bytes.HasPrefix(bytes.TrimLeft(b, blank), []byte(`"`))
}

// Sniff reports whether a file that begins with these bytes is one that Load
// reads.
func Sniff(head []byte) bool { return isZip(head) || isHDF5(head) || isJSON(head) }

// Load reads the model at path: a .keras archive, a whole-model .h5 file, or
// the JSON of model.to_json() with the weights beside it (STEM.weights.h5,
// STEM.h5, or the folder's only *.weights.h5). The format is told from the
// bytes. Weights may stay slices of the mapped file until Release.
//
// Open extents of the inputs are the dimensions batch (1 unless bound),
// height, width, channels and steps of opts.Dims.
func Load(path string, opts source.Options) (*source.Model, error) {
	var undo []func() error
	release := func() error {
		var errs []error
		for _, f := range undo {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	digest := sha256.New()
	open := func(path string) ([]byte, error) {
		data, unmap, err := source.MapFile(path)
		if err != nil {
			return nil, err
		}
		undo = append(undo, unmap)
		digest.Write(data)
		return data, nil
	}
	m, err := load(path, open, opts)
	if err != nil {
		release()
		return nil, err
	}
	m.Path, m.SHA256, m.Release = path, hex.EncodeToString(digest.Sum(nil)), release
	return m, nil
}

func load(path string, open func(string) ([]byte, error), opts source.Options) (*source.Model, error) {
	data, err := open(path)
	if err != nil {
		return nil, err
	}
	var f *file
	switch {
	case isZip(data):
		f, err = readArchive(data)
	case isHDF5(data):
		f, err = readHDF5(data)
	case isJSON(data):
		f, err = readJSON(path, data, open)
	default:
		err = errors.New("not a Keras model: neither a .keras archive, nor HDF5, nor JSON")
	}
	if err == nil {
		var m *source.Model
		if m, err = convert(path, f, opts); err == nil {
			return m, nil
		}
	}
	var u *source.Unsupported
	if errors.As(err, &u) {
		return nil, err
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// convert imports a model that was taken apart.
func convert(path string, f *file, opts source.Options) (*source.Model, error) {
	n, err := parseModel(f.config)
	if err != nil {
		return nil, err
	}
	im := &importer{g: ir.NewGraph(n.name), opts: opts, major: major(f.version), reported: map[*layer]bool{}}
	if err := im.run(n, f.store); err != nil {
		return nil, err
	}
	if len(im.problems) > 0 {
		return nil, &source.Unsupported{Path: path, Problems: im.problems}
	}
	im.g.Prune()
	if err := ir.Verify(im.g); err != nil {
		return nil, err
	}
	if im.half {
		im.note("half-precision layers are computed in float32")
	}
	format := "Keras, " + f.format
	if f.version != "" {
		format = "Keras " + f.version + ", " + f.format
		f.metadata["producer"] = "Keras " + f.version
	}
	return &source.Model{Graph: im.g, Format: format, Notes: im.notes, Half: im.half, Metadata: f.metadata}, nil
}

// major returns the major version of Keras: 2 for files that do not tell, as
// Keras 3 always does.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(first); err == nil {
		return n
	}
	return 2
}

func readArchive(data []byte) (*file, error) {
	a, err := openArchive(data)
	if err != nil {
		return nil, err
	}
	b, err := a.entry("config.json", maxJSON)
	if err != nil {
		return nil, err
	}
	f := &file{format: ".keras archive", metadata: map[string]string{}}
	if f.config, err = decodeJSON(b, "config.json"); err != nil {
		return nil, err
	}
	if a.has("metadata.json") {
		if b, err = a.entry("metadata.json", maxJSON); err != nil {
			return nil, err
		}
		meta, err := decodeJSON(b, "metadata.json")
		if err != nil {
			return nil, err
		}
		f.version = text(meta.get("keras_version"))
		if s := text(meta.get("date_saved")); s != "" {
			f.metadata["date_saved"] = s
		}
	}
	if b, err = a.entry("model.weights.h5", a.weightsLimit()); err != nil {
		return nil, err
	}
	root, err := openRoot(b)
	if err != nil {
		return nil, fmt.Errorf("model.weights.h5: %w", err)
	}
	f.store = archiveStore{root}
	return f, nil
}

func openRoot(data []byte) (*hdf5.Group, error) {
	h, err := hdf5.Open(hdf5.Bytes(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	return h.Root()
}

func readHDF5(data []byte) (*file, error) {
	root, err := openRoot(data)
	if err != nil {
		return nil, err
	}
	a, err := root.Attr("model_config")
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, errors.New("the file has weights alone: save the whole model with model.save, or put model.to_json() in a file STEM.json beside STEM.weights.h5 and load that")
	}
	s, err := a.Str()
	if err != nil {
		return nil, err
	}
	f := &file{format: "HDF5", metadata: map[string]string{}}
	if f.config, err = decodeJSON([]byte(s), "model_config"); err != nil {
		return nil, err
	}
	weights, err := root.Group("model_weights")
	if err != nil {
		return nil, err
	}
	f.store = legacyStore{weights}
	for _, g := range []*hdf5.Group{root, weights} {
		if a, err := g.Attr("keras_version"); err != nil {
			return nil, err
		} else if a != nil && f.version == "" {
			if f.version, err = a.Str(); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

func readJSON(path string, data []byte, open func(string) ([]byte, error)) (*file, error) {
	f := &file{format: "JSON with HDF5 weights", metadata: map[string]string{}}
	var err error
	if f.config, err = decodeJSON(data, filepath.Base(path)); err != nil {
		return nil, err
	}
	f.version = text(f.config.get("keras_version"))
	beside, err := weightsBeside(path)
	if err != nil {
		return nil, err
	}
	data, err = open(beside)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", beside, err)
	}
	switch {
	case root.Has("model_weights"):
		g, err := root.Group("model_weights")
		if err != nil {
			return nil, err
		}
		f.store = legacyStore{g}
	case root.Has("layers"):
		f.store = archiveStore{root}
	default:
		f.store = legacyStore{root}
	}
	if f.version == "" && root.Has("layers") {
		f.version = "3"
	}
	return f, nil
}

// weightsBeside finds the weights that belong to a JSON file.
func weightsBeside(path string) (string, error) {
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	stem = strings.TrimSuffix(stem, ".config")
	tried := []string{stem + ".weights.h5", stem + ".h5"}
	for _, p := range tried {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p, nil
		}
	}
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var list []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".weights.h5") {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return "", fmt.Errorf("its weights are not found: neither %s, nor %s, nor one *.weights.h5 beside it", filepath.Base(tried[0]), filepath.Base(tried[1]))
}
