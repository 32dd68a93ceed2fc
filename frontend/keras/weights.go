package keras

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"modelc/frontend/keras/hdf5"
	"modelc/ir"
)

// store holds the weights of a layer: its own variables, and those of the
// layers inside it when it is a model or a wrapper. A layer without weights
// has an empty one.
type store interface {
	// variables returns the layer's own weights, in the layer's order.
	variables() ([]*hdf5.Dataset, error)
	// layer returns the store of a layer of the model whose store this is.
	layer(l *layer) (store, error)
	// wrapped returns the store of the layer inside a wrapper.
	wrapped(l *layer) (store, error)
}

// archiveStore is a group of the model.weights.h5 in a .keras archive:
// layers/KEY/vars/0, 1, …, where KEY is layer.key. A nil group has no weights.
type archiveStore struct{ group *hdf5.Group }

func (s archiveStore) variables() ([]*hdf5.Dataset, error) {
	if s.group == nil || !s.group.Has("vars") {
		return nil, nil
	}
	vars, err := s.group.Group("vars")
	if err != nil {
		return nil, err
	}
	var list []*hdf5.Dataset
	for i := range vars.Names() {
		d, err := vars.Dataset(strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func (s archiveStore) layer(l *layer) (store, error) {
	if s.group == nil || !s.group.Has("layers") {
		return archiveStore{}, nil
	}
	layers, err := s.group.Group("layers")
	if err != nil {
		return nil, err
	}
	if l.key != "" && layers.Has(l.key) {
		g, err := layers.Group(l.key)
		if err != nil {
			return nil, err
		}
		name, err := nameOf(g)
		if err != nil {
			return nil, err
		}
		if name == "" || name == l.name {
			return archiveStore{g}, nil
		}
	}
	// The counting of keys is Keras's own affair; the name decides.
	for _, key := range layers.Names() {
		g, err := layers.Group(key)
		if err != nil {
			return nil, err
		}
		name, err := nameOf(g)
		if err != nil {
			return nil, err
		}
		if name == l.name {
			return archiveStore{g}, nil
		}
	}
	return archiveStore{}, nil
}

// nameOf returns the layer's name that Keras 3 notes with its variables, ""
// when there is none.
func nameOf(g *hdf5.Group) (string, error) {
	if !g.Has("vars") {
		return "", nil
	}
	vars, err := g.Group("vars")
	if err != nil {
		return "", err
	}
	a, err := vars.Attr("name")
	if a == nil || err != nil {
		return "", err
	}
	return a.Str()
}

func (s archiveStore) wrapped(*layer) (store, error) {
	if s.group == nil || !s.group.Has("layer") {
		return archiveStore{}, nil
	}
	g, err := s.group.Group("layer")
	return archiveStore{g}, err
}

// legacyStore is the weights of a whole-model .h5 file: one group per layer of
// the outermost model, with a list of the names of all weights in it, those of
// inner models included.
type legacyStore struct{ root *hdf5.Group }

func (s legacyStore) variables() ([]*hdf5.Dataset, error) { return nil, nil }

func (s legacyStore) wrapped(*layer) (store, error) { return s, nil }

func (s legacyStore) layer(l *layer) (store, error) {
	e := legacyLayer{top: true, paths: [][]string{{l.name}}}
	names, err := strs(s.root, "layer_names")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, l.name) {
		return e, nil
	}
	if e.group, err = s.root.Group(l.name); err != nil {
		return nil, err
	}
	e.names, err = strs(e.group, "weight_names")
	return e, err
}

// strs reads an attribute with a list of strings. Keras splits long ones into
// NAME0, NAME1, ….
func strs(g *hdf5.Group, name string) ([]string, error) {
	a, err := g.Attr(name)
	if err != nil {
		return nil, err
	}
	if a != nil {
		return a.Strings()
	}
	var list []string
	for i := 0; ; i++ {
		a, err := g.Attr(name + strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		if a == nil {
			break
		}
		part, err := a.Strings()
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	if list == nil {
		return nil, fmt.Errorf("%s has no attribute %q", g.Path(), name)
	}
	return list, nil
}

// legacyLayer is the weights of a layer of a legacy file.
type legacyLayer struct {
	group *hdf5.Group
	names []string // of all weights in the group
	top   bool     // the layer is one of the outermost model: all are its own
	// paths are where the layer may stand: the names of the models and
	// wrappers around it, then its own. The likeliest comes first.
	paths [][]string
}

func (s legacyLayer) layer(l *layer) (store, error) { return s.inside(l, false), nil }

func (s legacyLayer) wrapped(l *layer) (store, error) { return s.inside(l, s.top), nil }

func (s legacyLayer) inside(l *layer, top bool) store {
	in := legacyLayer{group: s.group, names: s.names, top: top}
	for _, p := range s.paths {
		in.paths = append(in.paths, append(slices.Clip(p), l.name))
	}
	if !s.top || l.network == nil {
		in.paths = append(in.paths, s.paths...) // a wrapper's weights may carry its name alone
	}
	return in
}

// variables finds the layer's weights by their names, PATH/VARIABLE, where
// PATH is as much of the layer's path as Keras saw fit to write. They cannot
// be told by position: Keras lists all moving statistics of a model last.
func (s legacyLayer) variables() ([]*hdf5.Dataset, error) {
	names := s.names
	if !s.top {
		var err error
		if names, err = s.own(); err != nil {
			return nil, err
		}
	}
	var list []*hdf5.Dataset
	for _, n := range names {
		d, err := s.group.Dataset(n)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func (s legacyLayer) own() ([]string, error) {
	folders := map[string][]string{}
	for _, n := range s.names {
		at := max(strings.LastIndexByte(n, '/'), 0)
		folders[n[:at]] = append(folders[n[:at]], n)
	}
	for _, p := range s.paths {
		for k := range p {
			suffix := strings.Join(p[k:], "/")
			if names := folders[suffix]; names != nil {
				return names, nil
			}
			var found []string
			for f := range folders {
				if strings.HasSuffix(f, "/"+suffix) {
					found = append(found, f)
				}
			}
			if len(found) > 1 {
				slices.Sort(found)
				return nil, fmt.Errorf("the weights file has several layers that could be this one: %s", strings.Join(found, ", "))
			}
			if len(found) == 1 {
				return folders[found[0]], nil
			}
		}
	}
	return nil, nil
}

var dtypes = map[hdf5.Type]ir.DType{
	{Class: hdf5.Float, Size: 2}: ir.Float16, {Class: hdf5.Float, Size: 4}: ir.Float32, {Class: hdf5.Float, Size: 8}: ir.Float64,
	{Class: hdf5.BFloat, Size: 2}: ir.BFloat16,
}

// tensor reads a weight, converted to type to.
func tensor(d *hdf5.Dataset, to ir.DType) (*ir.Tensor, error) {
	from, ok := dtypes[d.Type]
	if !ok && d.Type == (hdf5.Type{Class: hdf5.Opaque, Size: 2}) {
		// HDF5 has no bfloat16: Keras stores opaque pairs of bytes.
		a, err := d.Attr("dtype")
		if err != nil {
			return nil, err
		}
		if a != nil {
			name, err := a.Str()
			if err != nil {
				return nil, err
			}
			from, ok = ir.BFloat16, name == "bfloat16"
		}
	}
	if !ok {
		return nil, fmt.Errorf("weight %s has type %s, want floating point", d.Path(), d.Type)
	}
	b, err := d.Bytes()
	if err != nil {
		return nil, err
	}
	t, err := ir.FromBytes(ir.Type{DType: from, Shape: ir.Shape(d.Shape)}, b)
	if err != nil {
		return nil, err
	}
	if from != to {
		t = ir.FromFloat64s(ir.Type{DType: to, Shape: t.Shape}, t.Float64s())
	}
	return t, nil
}
