package keras

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"modelc/frontend/keras/hdf5"
	"modelc/internal/plaintext"
	"modelc/ir"
)

// store holds the weights of a layer: its own variables, and those of the
// layers inside a model or wrapper. The store of a layer without weights is
// empty.
type store interface {
	// component returns the store of a part of a recurrent layer: "cell", or "forward_layer"
	// or "backward_layer" of Bidirectional.
	component(name string) (store, error)
	// variables returns the layer's own weights, in the layer's order.
	variables() ([]*hdf5.Dataset, error)
	// layer returns the store of a layer of this store's model.
	layer(l *layer) (store, error)
	// wrapped returns the store of the layer inside this store's wrapper.
	wrapped(l *layer) (store, error)
}

// archiveStore is a group of model.weights.h5 in a .keras archive. Variables are
// named layers/KEY/vars/0, 1, …, where KEY is layer.key. A nil group has no
// weights.
type archiveStore struct {
	group  *hdf5.Group
	byName map[string]*hdf5.Group // groups of its layers by name, made on first use
}

func (s *archiveStore) variables() ([]*hdf5.Dataset, error) {
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

func (s *archiveStore) layer(l *layer) (store, error) {
	if s.group == nil || !s.group.Has("layers") {
		return &archiveStore{}, nil
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
			return &archiveStore{group: g}, nil
		}
	}
	// Versions of Keras count keys differently, so the name decides.
	if s.byName == nil {
		s.byName = map[string]*hdf5.Group{}
		for _, key := range layers.Names() {
			g, err := layers.Group(key)
			if err != nil {
				return nil, err
			}
			name, err := nameOf(g)
			if err != nil {
				return nil, err
			}
			s.byName[name] = g
		}
	}
	return &archiveStore{group: s.byName[l.name]}, nil
}

// nameOf returns the layer's name that Keras 3 stores with its variables, or ""
// if there is none.
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
	name, err := a.Str()
	return plaintext.Name(name), err
}

func (s *archiveStore) wrapped(*layer) (store, error) {
	if s.group == nil || !s.group.Has("layer") {
		return &archiveStore{}, nil
	}
	g, err := s.group.Group("layer")
	return &archiveStore{group: g}, err
}

// legacyStore holds the weights of a whole-model .h5 file. The file has one
// group per layer of the outermost model. Each group lists the names of all its
// weights, including those of nested models.
type legacyStore struct {
	root   *hdf5.Group
	layers map[string]bool // layers with a group
}

func newLegacyStore(root *hdf5.Group) (legacyStore, error) {
	s := legacyStore{root, map[string]bool{}}
	names, err := strs(root, "layer_names")
	for _, n := range names {
		s.layers[n] = true
	}
	return s, err
}

func (s legacyStore) variables() ([]*hdf5.Dataset, error) { return nil, nil }

func (s legacyStore) wrapped(*layer) (store, error) { return s, nil }

func (s legacyStore) layer(l *layer) (store, error) {
	e := legacyLayer{legacyGroup: &legacyGroup{}, top: true, paths: [][]string{{l.name}}}
	if !s.layers[l.name] {
		return e, nil
	}
	var err error
	if e.group, err = s.root.Group(l.name); err != nil {
		return nil, err
	}
	e.names, err = strs(e.group, "weight_names")
	return e, err
}

// plainNames makes names fit for messages.
func plainNames(list []string) []string {
	for i, s := range list {
		list[i] = plaintext.Name(s)
	}
	return list
}

// strs reads an attribute with a list of strings. Keras splits long lists into
// the attributes NAME0, NAME1, ….
func strs(g *hdf5.Group, name string) ([]string, error) {
	a, err := g.Attr(name)
	if err != nil {
		return nil, err
	}
	if a != nil {
		list, err := a.Strings()
		return plainNames(list), err
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
		list = append(list, plainNames(part)...)
	}
	if list == nil {
		return nil, fmt.Errorf("%s has no attribute %q", g.Path(), name)
	}
	return list, nil
}

// legacyGroup is the group of a layer of the outermost model in a legacy file.
type legacyGroup struct {
	group *hdf5.Group
	names []string // names of all its weights
	// folders maps suffixes of paths, such as "block/conv" and "conv", to the
	// folders of weights with this suffix.
	folders map[string][]string
	inside  map[string][]string // names of the weights in each folder
}

// legacyLayer holds the weights of a layer of a legacy file.
type legacyLayer struct {
	*legacyGroup
	top bool // the layer is part of the outermost model and owns the whole group
	// paths lists the possible paths of the layer, the most likely first. A path
	// has the names of the models and wrappers around the layer, then its own.
	paths [][]string
}

func (s legacyLayer) layer(l *layer) (store, error) {
	return legacyLayer{legacyGroup: s.legacyGroup, paths: s.below(l)}, nil
}

// wrapped returns the weights of the layer inside a wrapper. Their path may
// contain only the wrapper's name.
func (s legacyLayer) wrapped(l *layer) (store, error) {
	return legacyLayer{legacyGroup: s.legacyGroup, top: s.top && l.network == nil, paths: append(s.below(l), s.paths...)}, nil
}

// maxPaths is the maximum number of possible paths of a layer inside wrappers.
const maxPaths = 64

func (s legacyLayer) below(l *layer) [][]string {
	var paths [][]string
	for _, p := range s.paths[:min(len(s.paths), maxPaths)] {
		paths = append(paths, append(slices.Clip(p), l.name))
	}
	return paths
}

// variables finds the layer's weights by their names, PATH/VARIABLE, where PATH
// is a suffix of the layer's path. Positions do not identify weights, because
// Keras lists all moving statistics of a model last.
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
	s.index()
	for _, p := range s.paths {
		for k := range p {
			end := strings.Join(p[k:], "/")
			switch found := s.folders[end]; {
			case s.inside[end] != nil:
				return s.inside[end], nil
			case len(found) > 1:
				return nil, fmt.Errorf("several layers in the weights file match this layer: %s", strings.Join(found, ", "))
			case len(found) == 1:
				return s.inside[found[0]], nil
			}
		}
	}
	return nil, nil
}

// maxDepth is the maximum number of models and wrappers around a layer.
const maxDepth = 32

func (g *legacyGroup) index() {
	if g.folders != nil {
		return
	}
	g.folders, g.inside = map[string][]string{}, map[string][]string{}
	for _, n := range g.names {
		folder := n[:max(strings.LastIndexByte(n, '/'), 0)]
		if g.inside[folder] == nil {
			end, more := folder, true
			for range maxDepth {
				if _, end, more = strings.Cut(end, "/"); !more {
					break
				}
				g.folders[end] = append(g.folders[end], folder)
			}
		}
		g.inside[folder] = append(g.inside[folder], n)
	}
}

var dtypes = map[hdf5.Type]ir.DType{
	{Class: hdf5.Float, Size: 2}: ir.Float16, {Class: hdf5.Float, Size: 4}: ir.Float32, {Class: hdf5.Float, Size: 8}: ir.Float64,
	{Class: hdf5.BFloat, Size: 2}: ir.BFloat16,
}

// tensor reads a weight and converts it to type to.
func tensor(d *hdf5.Dataset, to ir.DType) (*ir.Tensor, error) {
	from, ok := dtypes[d.Type]
	if !ok && d.Type == (hdf5.Type{Class: hdf5.Opaque, Size: 2}) {
		// HDF5 has no bfloat16. Keras stores opaque pairs of bytes.
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
