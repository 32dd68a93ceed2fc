package runtime

import (
	"encoding/hex"
	"strings"
)

// Info describes a model in use: its origin, its tensors and its memory.
type Info struct {
	// Model is the name of the network in the model's file. ModelSHA256 is the digest,
	// in hexadecimal, of the file that the package was generated from.
	Model       string
	ModelSHA256 string
	// Version is the version of modelc that generated the package.
	Version string
	// WeightsSHA256 is the digest of the weights in use, in hexadecimal: those of the
	// package or of a retrained model. WeightsSource is "embedded", "bytes", or the path
	// of a file.
	WeightsSHA256 string
	WeightsSource string
	// Tier is the instruction set of the kernels, see the function Tier, or the name of
	// a GPU.
	Tier string

	// Examples is the number of examples in a run. The shapes include it.
	Examples        int
	Inputs, Outputs []Tensor

	// WeightsBytes is the size of the weights, and PreparedBytes that of the weights in
	// the form that the kernels read. All sessions share both. SessionBytes is the size
	// of the activations of a session, and ThreadBytes that of the scratch memory of
	// each of its threads.
	WeightsBytes, PreparedBytes, SessionBytes, ThreadBytes int
}

// Tensor describes an input or output of a model. It is dense and in row-major order.
type Tensor struct {
	Name  string // in the model
	Type  string // element type in Go: "float32", "int64", "bool", …
	Shape []int
}

// Len returns the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Make returns a slice for the elements, for example a []float32 for the type
// "float32". It returns nil if the type is unknown.
func (t Tensor) Make() any {
	n := t.Len()
	switch t.Type {
	case "float32":
		return make([]float32, n)
	case "float64":
		return make([]float64, n)
	case "int8":
		return make([]int8, n)
	case "int16":
		return make([]int16, n)
	case "int32":
		return make([]int32, n)
	case "int64":
		return make([]int64, n)
	case "uint8":
		return make([]uint8, n)
	case "uint16":
		return make([]uint16, n)
	case "uint32":
		return make([]uint32, n)
	case "uint64":
		return make([]uint64, n)
	case "bool":
		return make([]bool, n)
	}
	return nil
}

// Info describes a model without its weights.
func (p *Plan) Info() Info {
	return Info{
		Model: p.Model, ModelSHA256: p.ModelSHA256, Version: p.Version, Tier: Tier(),
		Examples: p.Examples, Inputs: tensors(p.Inputs), Outputs: tensors(p.Outputs),
		WeightsBytes: p.WeightsBytes, PreparedBytes: p.PreparedBytes, SessionBytes: p.ArenaBytes, ThreadBytes: scratch(p.Steps),
	}
}

// goTypes maps the start of the IR's names of element types to that of Go's.
var goTypes = strings.NewReplacer("f", "float", "i", "int", "u", "uint")

func tensors(ports []Port) []Tensor {
	list := make([]Tensor, len(ports))
	for i, p := range ports {
		list[i] = Tensor{p.Name, goTypes.Replace(p.Type), append([]int{}, p.Shape...)}
	}
	return list
}

// scratch returns the size in bytes of the memory that a thread needs for steps.
func scratch(steps []Step) (n int) {
	for _, s := range steps {
		n = max(n, s.Kernel.ScratchBytes())
	}
	return n
}

// Info describes the model. The shapes are those of a session with the plan of the
// model. A model of [NewModel] does not know its weights.
func (m *Model) Info() Info {
	if m == nil {
		return Info{}
	}
	return m.info(m.plan)
}

// Info describes the session and its model.
func (s *Session) Info() Info {
	if s == nil || s.model == nil {
		return Info{}
	}
	return s.model.info(s.plan)
}

func (l *loaded) info(p *Plan) Info {
	i := p.Info()
	if l.source != "" {
		i.WeightsSource, i.WeightsSHA256 = l.source, hex.EncodeToString(l.sum[:])
	}
	return i
}
