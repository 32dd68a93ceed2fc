// Package keras converts models saved by Keras to the IR. It reads .keras
// archives (Keras 2.12 and later), whole-model .h5 files (Keras 2 and 3), and a
// JSON configuration with a file of weights. It needs no Python and never runs
// code from a file: Lambda and custom layers are errors.
//
// config.go converts the configurations of both major versions to one form,
// weights.go finds the variables of each layer, and import.go walks the layers.
// Each family of layers has a file. [Table] lists all layers.
//
// The inputs and outputs of the graph have the layout of the model, which is
// channels last by default. Convolutions and pools of the IR have channels
// first, so the import adds a transposition before and after each of them. The
// passes remove these.
package keras

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"modelc/frontend/keras/hdf5"
	"modelc/frontend/source"
	"modelc/internal/plaintext"
	"modelc/ir"
)

// file is a decoded model file: the configuration and the weights.
type file struct {
	format   string // description of the format
	version  string // version of Keras that wrote the file, "" if unknown
	config   *record
	store    store
	metadata map[string]string
}

func isZip(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("PK\x05\x06"))
}
func isHDF5(b []byte) bool { return bytes.HasPrefix(b, []byte("\x89HDF\r\n\x1a\n")) }

// isJSON requires a quote after the brace, because an ONNX file may also begin
// with a brace.
func isJSON(b []byte) bool {
	const blank = " \t\r\n"
	b, brace := bytes.CutPrefix(bytes.TrimLeft(b, blank), []byte("{"))
	return brace && bytes.HasPrefix(bytes.TrimLeft(b, blank), []byte(`"`))
}

// Sniff reports whether Load reads files that begin with these bytes.
func Sniff(head []byte) bool { return isZip(head) || isHDF5(head) || isJSON(head) }

// Load reads the model at path: a .keras archive, a whole-model .h5 file, or
// the JSON of model.to_json() with its weights in the same folder
// (STEM.weights.h5, STEM.h5, the shards that STEM.weights.json lists, or the
// folder's only *.weights.h5). It detects the format from the file's first bytes.
// Weights may be slices of the mapped file, which are valid until Release.
//
// Open extents of the inputs are the dimensions batch, height, width, channels
// and steps of opts.Dims. The batch is 1 by default.
func Load(path string, opts source.Options) (*source.Model, error) {
	var undo []func() error
	var mapped [][]byte
	release := func() error {
		var errs []error
		for _, f := range undo {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	digest := sha256.New()
	open := func(file string) ([]byte, error) {
		var data []byte
		var unmap func() error
		var err error
		if file == path {
			data, unmap, err = source.MapFile(path)
		} else { // the weights of a JSON file
			data, unmap, err = source.MapBelow(filepath.Dir(path), filepath.Base(file))
		}
		if err != nil {
			return nil, err
		}
		undo = append(undo, unmap)
		mapped = append(mapped, data)
		digest.Write(data)
		return data, nil
	}
	m, err := load(path, open, opts)
	if err != nil {
		release()
		return nil, err
	}
	m.Path, m.SHA256, m.Release, m.Mapped = path, hex.EncodeToString(digest.Sum(nil)), release, mapped
	m.Unload() // digests and checksums read all weights, and most were copied to another layout
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

// convert imports a decoded model.
func convert(path string, f *file, opts source.Options) (*source.Model, error) {
	n, err := parseModel(f.config)
	if err != nil {
		return nil, err
	}
	im := &importer{g: ir.NewGraph(n.name), opts: opts, major: major(f.version), reported: map[*layer]bool{}}
	im.g.Bounds = opts.Bounds
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
	return &source.Model{Graph: im.g, Format: format, Notes: im.notes, Half: im.half, Layers: im.layers.All(), Calls: im.layers.Calls(), Metadata: f.metadata}, nil
}

// major returns the major version of Keras. It is 2 for files without a
// version, because Keras 3 always writes it.
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
	f.store = &archiveStore{groups: []*hdf5.Group{root}, doubled: strings.HasPrefix(f.version, "2.12.") || strings.HasPrefix(f.version, "2.13.")}
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
		return nil, errors.New("the file contains only weights: save the whole model with model.save(\"model.keras\"), or write model.to_json() to STEM.json beside STEM.weights.h5 or the shards' STEM.weights.json, and load STEM.json")
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
	if f.store, err = newLegacyStore(weights); err != nil {
		return nil, err
	}
	for _, g := range []*hdf5.Group{root, weights} {
		if a, err := g.Attr("keras_version"); err != nil {
			return nil, err
		} else if a != nil && f.version == "" {
			version, err := a.Str()
			if f.version = plaintext.Name(version); err != nil {
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
	if f.config.has("weight_map") {
		return nil, errors.New("the file only lists shards of weights: write model.to_json() to STEM.json beside STEM.weights.json, and load STEM.json")
	}
	f.version = text(f.config.get("keras_version"))
	beside, err := weightsBeside(path)
	if err != nil {
		return nil, err
	}
	shards := []string{beside}
	if filepath.Ext(beside) == ".json" {
		if shards, err = shardsOf(beside, open); err != nil {
			return nil, fmt.Errorf("%s: %w", beside, err)
		}
	}
	var roots []*hdf5.Group
	for _, shard := range shards {
		if data, err = open(shard); err != nil {
			return nil, err
		}
		root, err := openRoot(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shard, err)
		}
		roots = append(roots, root)
	}
	root := roots[0]
	switch {
	case root.Has("model_weights"):
		if root, err = root.Group("model_weights"); err == nil {
			f.store, err = newLegacyStore(root)
		}
	case root.Has("layers") || len(roots) > 1:
		f.store = &archiveStore{groups: roots}
		if f.version == "" {
			f.version = "3"
		}
	default:
		f.store, err = newLegacyStore(root)
	}
	return f, err
}

// weightsBeside returns the path of the weights of a JSON file.
func weightsBeside(path string) (string, error) {
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	stem = strings.TrimSuffix(stem, ".config")
	tried := []string{stem + ".weights.h5", stem + ".h5", stem + ".weights.json"}
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
	return "", fmt.Errorf("no weights found: its folder has neither %s nor %s nor %s nor exactly one *.weights.h5", filepath.Base(tried[0]), filepath.Base(tried[1]), filepath.Base(tried[2]))
}

// maxShards is the maximum number of files of weights.
const maxShards = 1 << 12

// shardsOf returns the paths of the files that a *.weights.json lists.
func shardsOf(path string, open func(string) ([]byte, error)) ([]string, error) {
	data, err := open(path)
	if err != nil {
		return nil, err
	}
	list, err := decodeJSON(data, filepath.Base(path))
	if err != nil {
		return nil, err
	}
	var shards []string
	files := object(list.get("weight_map"))
	for _, key := range files.names() {
		of, _ := files.get(key).([]any)
		if name := text(files.get(key)); name != "" {
			of = []any{name}
		}
		for _, e := range of {
			name := text(e)
			if name == "" || name != filepath.Base(name) {
				return nil, fmt.Errorf("%.60v is not the name of a file in its folder", e)
			}
			if shard := filepath.Join(filepath.Dir(path), name); !slices.Contains(shards, shard) {
				shards = append(shards, shard)
			}
		}
		if len(shards) > maxShards {
			return nil, fmt.Errorf("it lists more than the maximum of %d files", maxShards)
		}
	}
	if len(shards) == 0 {
		return nil, errors.New("it lists no files")
	}
	return shards, nil
}
