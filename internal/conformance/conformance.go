// Package conformance reads the ONNX node tests of a corpus: the cases of nine
// releases and of the two PyTorch sets, with their classification.
//
// The package imports no other package of this module, so tests of any package
// may import it. Its own test runs every case with the reference interpreter, the
// kernels in its process and the generated package. It compares the cases that do
// not pass with testdata/conformance.txt and writes docs/conformance.md.
package conformance

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Case is a row of conformance/cases.tsv. It refers to a directory in a release's
// zip that contains a model of a few nodes, its inputs and its outputs.
type Case struct {
	Zip, Name string
	SameAs    string // an earlier case of another zip with the same bytes, or ""
	Class     string // cnn-core, quant or other
	Required  bool
	Why       string   // reason if it is not required
	Ops       []string // distinct operators, with their domain unless it is the default
	Types     []string // distinct element types of inputs, outputs and intermediate values
	Kinds     []string // kind of each input: data, weight, argument or unused
	files     map[string]*zip.File
}

// String returns zip/name.
func (c *Case) String() string { return c.Zip + "/" + c.Name }

// Suite is a list of cases with open zip files.
type Suite struct {
	Cases []*Case
	zips  []*zip.ReadCloser
}

// Open reads the list of cases in the corpus at dir and opens its zips.
func Open(dir string) (*Suite, error) {
	list, err := os.ReadFile(filepath.Join(dir, "conformance", "cases.tsv"))
	if err != nil {
		return nil, err
	}
	s := &Suite{}
	files := map[string]map[string]*zip.File{} // files by case and path in the case
	open := map[string]bool{}
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")
	column := map[string]int{}
	for i, name := range strings.Split(lines[0], "\t") {
		column[name] = i
	}
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		get := func(name string) string { return f[column[name]] }
		c := &Case{Zip: get("zip"), Name: get("case"), Class: get("class"), Required: get("required") == "yes",
			Ops: split(get("ops")), Kinds: split(get("in_kinds"))}
		_, c.Why, _ = strings.Cut(get("required"), ":")
		seen := map[string]bool{}
		for _, types := range []string{"in_types", "out_types", "inner_types"} {
			for _, t := range split(get(types)) {
				if !seen[t] {
					seen[t] = true
					c.Types = append(c.Types, t)
				}
			}
		}
		if z := get("same_as"); z != "-" {
			c.SameAs = z + "/" + c.Name
		}
		if !open[c.Zip] {
			open[c.Zip] = true
			r, err := zip.OpenReader(filepath.Join(dir, "onnx-node", c.Zip+".zip"))
			if err != nil {
				s.Close()
				return nil, err
			}
			s.zips = append(s.zips, r)
			for _, e := range r.File {
				name, rest, _ := strings.Cut(e.Name, "/")
				key := c.Zip + "/" + name
				if files[key] == nil {
					files[key] = map[string]*zip.File{}
				}
				files[key][rest] = e
			}
		}
		c.files = files[c.String()]
		s.Cases = append(s.Cases, c)
	}
	return s, nil
}

// split splits the list in a column; "-" is the empty list.
func split(s string) []string {
	if s == "-" || s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// Close closes the zips.
func (s *Suite) Close() error {
	var all []error
	for _, z := range s.zips {
		all = append(all, z.Close())
	}
	return errors.Join(all...)
}

// Model returns the bytes of the case's model.
func (c *Case) Model() ([]byte, error) { return c.read("model.onnx") }

// Data returns the serialised tensors input_0.pb, … or output_0.pb, … of the
// first data set. kind is "input" or "output".
func (c *Case) Data(kind string) ([][]byte, error) {
	var list [][]byte
	for {
		b, err := c.read(fmt.Sprintf("test_data_set_0/%s_%d.pb", kind, len(list)))
		if errors.Is(err, fs.ErrNotExist) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
}

func (c *Case) read(name string) ([]byte, error) {
	e := c.files[name]
	if e == nil {
		return nil, fmt.Errorf("%s: %s: %w", c, name, fs.ErrNotExist)
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
