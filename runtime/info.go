package runtime

import (
	"encoding/hex"
	"reflect"
	"slices"

	"modelc/runtime/kernel"
)

// Info describes a model in use. Digests are SHA-256, in hexadecimal. Sizes are in bytes.
type Info struct {
	Model         string // name of the network in the model's file
	ModelSHA256   string // digest of the file that the package was generated from
	Version       string // version of modelc that generated it
	WeightsSHA256 string // digest of the weights in use
	WeightsSource string // "embedded", "bytes" or the path of a file
	Tier          string // instruction set of the kernels, or name of the GPU
	Examples      int    // number of examples in a run; the shapes include it
	Inputs        []Port
	Outputs       []Port
	WeightsBytes  int // weights, which all sessions share
	PreparedBytes int // the same in the form that the kernels read
	SessionBytes  int // activations of a session
	ThreadBytes   int // scratch memory of each thread of a session
}

// Info describes a model without its weights.
func (p *Plan) Info() Info {
	return Info{Model: p.Model, ModelSHA256: p.ModelSHA256, Version: p.Version, Tier: Tier(),
		Examples: p.Examples, Inputs: copies(p.Inputs), Outputs: copies(p.Outputs),
		WeightsBytes: p.WeightsBytes, PreparedBytes: p.PreparedBytes, SessionBytes: p.ArenaBytes, ThreadBytes: scratch(p.Steps)}
}

// copies returns ports that callers may change.
func copies(ports []Port) []Port {
	ports = slices.Clone(ports)
	for i := range ports {
		ports[i].Shape = slices.Clone(ports[i].Shape)
	}
	return ports
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
	if i.WeightsSource = l.source; l.source != "" {
		i.WeightsSHA256 = hex.EncodeToString(l.sum[:])
	}
	return i
}

// Make returns a slice for the elements: a []float32 for the type "float32". It returns
// nil for types that Go does not have.
func (p Port) Make() any {
	for _, x := range []any{[]float32{}, []float64{}, []bool{}, []int8{}, []int16{}, []int32{}, []int64{}, []uint8{}, []uint16{}, []uint32{}, []uint64{}} {
		if t := reflect.TypeOf(x); t.Elem().Name() == p.Type {
			n := int(kernel.Product(p.Shape...))
			return reflect.MakeSlice(t, n, n).Interface()
		}
	}
	return nil
}
