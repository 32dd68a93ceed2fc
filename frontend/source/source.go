// Package source defines the types that all front ends share: the options for
// loading a model, the loaded model, and the error that lists the unsupported
// parts of a model.
package source

import (
	"fmt"
	"strconv"
	"strings"

	"modelc/internal/files"
	"modelc/internal/spelling"
	"modelc/ir"
)

// MapFile maps the file at path read-only. release unmaps it. It fails if path is not a
// regular file.
func MapFile(path string) (data []byte, release func() error, err error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return Map(f)
}

// MapBelow maps a file below the folder dir. It fails if a symbolic link leads out of the
// folder.
func MapBelow(dir, path string) (data []byte, release func() error, err error) {
	file, err := files.OpenBelow(dir, path)
	if err != nil {
		return nil, nil, err
	}
	return Map(file)
}

// Options determines what a model file leaves open.
type Options struct {
	// Dims gives the values of symbolic dimensions by name. A batch dimension
	// without a value becomes 1, and a note reports it. Any other dimension
	// without a value is an error.
	Dims map[string]int
	// Batch, unless 0, is the first extent of every input that has no entry in
	// Shapes or InputShapes. It replaces an extent that the file fixes only if
	// the input has at least two axes.
	Batch int
	// Bind gives the values of graph inputs, by name. These inputs become
	// constants.
	Bind map[string]*ir.Tensor
	// Shapes gives the shapes of inputs by name. They override Dims and the
	// open extents of the file, but not its fixed extents.
	Shapes map[string]ir.Shape
	// InputShapes gives the shapes of inputs by position, for inputs without
	// an entry in Shapes.
	InputShapes []ir.Shape
	// Bounds limits the memory and the work that the model may ask for.
	Bounds ir.Bounds
}

// Rebatch returns the first extent of an input of the given rank whose file
// fixes this extent at n. It is Batch if Batch is set and rank is at least 2,
// and n otherwise.
func (o *Options) Rebatch(n, rank int) int {
	if o.Batch > 0 && rank > 1 {
		return o.Batch
	}
	return n
}

// UnknownDim returns the error for a value of a dimension that the model does not have. known
// are the names of its open dimensions.
func UnknownDim(name string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("the model has no open dimension %q: all its extents are fixed", name)
	}
	if near := spelling.Nearest(name, known); near != "" {
		return fmt.Errorf("the model has no open dimension %q, did you mean %q? It has %s", name, near, quoted(known))
	}
	return fmt.Errorf("the model has no open dimension %q; it has %s", name, quoted(known))
}

// quoted lists names.
func quoted(names []string) string {
	var list []string
	for _, n := range names {
		list = append(list, strconv.Quote(n))
	}
	return strings.Join(list, ", ")
}

// Model is a loaded network.
type Model struct {
	Graph  *ir.Graph
	Path   string
	Format string   // description of the format: "ONNX, IR version 8, opset 13"
	SHA256 string   // hex digest of the file followed by its external data
	Notes  []string // decisions that the user should know: "dimension N is open: 1"
	// Half reports whether parts of the model are in half precision. They are
	// computed in float32, so results differ from those of engines that compute
	// in half precision.
	Half bool
	// Layers are the layers as the model's author knows them, in the order of the file.
	Layers []*Layer
	// Calls are the uses of the layers of depth 0, each after those that it reads.
	Calls []*Call
	// Metadata holds the file's own metadata (producer, metadata_props).
	Metadata map[string]string
	// Release unmaps the file. The graph's constants may be slices of the file
	// and must not be used after Release. It is never nil.
	Release func() error
	// Mapped are the bytes of the files that were mapped, whole.
	Mapped [][]byte
}

// Unload lets the system take back the memory of the files, until their weights are read again.
func (m *Model) Unload() {
	for _, data := range m.Mapped {
		unload(data)
	}
}

// Problem describes a part of a model that cannot be compiled.
type Problem struct {
	Node   string // name of the node or layer; may be empty
	Op     string // op with domain and version: "ai.onnx.Loop-13", "keras.layers.Lambda"
	Reason string // the unsupported feature, with shapes or values
	Remedy string // the nearest supported alternative; may be empty
}

func (p Problem) String() string {
	s := p.Op
	if p.Node != "" {
		s = fmt.Sprintf("%s %q", s, p.Node)
	}
	s += ": " + p.Reason
	if p.Remedy != "" {
		s += " (" + p.Remedy + ")"
	}
	return s
}

// Unsupported is the error for a well-formed model that modelc cannot compile.
// Its text lists the first hundred problems.
type Unsupported struct {
	Path     string
	Problems []Problem
}

func (u *Unsupported) Error() string {
	const most = 100
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d thing", u.Path, len(u.Problems))
	if len(u.Problems) != 1 {
		b.WriteByte('s')
	}
	b.WriteString(" in this model cannot be compiled:")
	for i, p := range u.Problems {
		if i == most {
			fmt.Fprintf(&b, "\n  and %d more", len(u.Problems)-most)
			break
		}
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}
