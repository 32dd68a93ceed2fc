package keras

import (
	"fmt"
	"maps"
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
	// variables returns the layer's own weights, in the layer's order.
	variables() ([]*hdf5.Dataset, error)
	// layer returns the store of a layer of this store's model.
	layer(l *layer) (store, error)
	// part returns the store of the layer that is an attribute of this store's layer: "layer"
	// of a wrapper, "activation", "forward_layer" and "backward_layer" of Bidirectional. l is
	// nil for "cell", the part of a recurrent layer that holds its weights.
	part(attribute string, l *layer) (store, error)
}

// archiveStore is a group of model.weights.h5 in a .keras archive, or the same group in
// several files, if the weights are in shards. Variables are named
// layers/KEY/vars/0, 1, …, where KEY is layer.key. Keras 2.12 to 2.14 writes
// _layer_checkpoint_dependencies for layers. No group has no weights.
type archiveStore struct {
	groups  []*hdf5.Group
	doubled bool                     // KEY counts layers with weights twice, as Keras 2.12 and 2.13 do
	byName  map[string]*archiveStore // stores of its layers by name, made on first use
}

// names returns the names in the group.
func (s *archiveStore) names() []string {
	var list []string
	for _, g := range s.groups {
		list = append(list, g.Names()...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// child returns the group with the given name, which is empty if there is none.
func (s *archiveStore) child(name string) (*archiveStore, error) {
	c := &archiveStore{doubled: s.doubled}
	for _, g := range s.groups {
		if g.Has(name) {
			g, err := g.Group(name)
			if err != nil {
				return nil, err
			}
			c.groups = append(c.groups, g)
		}
	}
	return c, nil
}

func (s *archiveStore) variables() ([]*hdf5.Dataset, error) {
	vars, err := s.child("vars")
	if err != nil {
		return nil, err
	}
	var list []*hdf5.Dataset
	for i := range vars.names() {
		name := strconv.Itoa(i)
		of := slices.DeleteFunc(slices.Clone(vars.groups), func(g *hdf5.Group) bool { return !g.Has(name) })
		if len(of) > 1 {
			return nil, fmt.Errorf("%s/%s is in two shards", of[0].Path(), name)
		}
		of = append(of, vars.groups[0]) // its error names the missing dataset
		d, err := of[0].Dataset(name)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func (s *archiveStore) layer(l *layer) (store, error) {
	layers, err := s.child("layers")
	if err != nil {
		return nil, err
	}
	if layers.groups == nil {
		if layers, err = s.child("_layer_checkpoint_dependencies"); err != nil {
			return nil, err
		}
		if s.doubled {
			return layers.nth(l)
		}
	}
	if l.key != "" {
		own, err := layers.child(l.key)
		if err != nil {
			return nil, err
		}
		name, err := own.name()
		if err != nil {
			return nil, err
		}
		if own.groups != nil && (name == "" || name == l.name) {
			return own, nil
		}
	}
	// Versions of Keras count keys differently, so the name decides.
	if s.byName == nil {
		s.byName = map[string]*archiveStore{}
		for _, key := range layers.names() {
			e, err := layers.child(key)
			if err != nil {
				return nil, err
			}
			name, err := e.name()
			if err != nil {
				return nil, err
			}
			s.byName[name] = e
		}
	}
	if e := s.byName[l.name]; e != nil {
		return e, nil
	}
	return &archiveStore{}, nil
}

// nth returns the group of a layer among those of its class, which have increasing
// numbers.
func (s *archiveStore) nth(l *layer) (store, error) {
	class := snakeCase(l.class)
	numbers := map[string]int{}
	for _, name := range s.names() {
		end, of := strings.CutPrefix(name, class)
		n, err := strconv.Atoi(strings.TrimPrefix(end, "_"))
		if of && (end == "" || err == nil) {
			numbers[name] = n
		}
	}
	if len(numbers) != l.alike {
		return nil, fmt.Errorf("the file has weights of %d layers of its class, and its model has %d such layers", len(numbers), l.alike)
	}
	names := slices.SortedFunc(maps.Keys(numbers), func(a, b string) int { return numbers[a] - numbers[b] })
	return s.child(names[l.index])
}

// name returns the layer's name that Keras 3 stores with its variables, or "" if there
// is none.
func (s *archiveStore) name() (string, error) {
	vars, err := s.child("vars")
	if err != nil {
		return "", err
	}
	for _, g := range vars.groups {
		a, err := g.Attr("name")
		if err != nil {
			return "", err
		}
		if a != nil {
			name, err := a.Str()
			return plaintext.Name(name), err
		}
	}
	return "", nil
}

func (s *archiveStore) part(attribute string, _ *layer) (store, error) { return s.child(attribute) }

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

func (s legacyStore) part(string, *layer) (store, error) { return s, nil }

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

// part returns the weights of the layer inside another. The path of those inside a
// wrapper may contain only the wrapper's name.
func (s legacyLayer) part(attribute string, l *layer) (store, error) {
	switch attribute {
	case "cell", "forward_layer", "backward_layer":
		return s.recurrent(attribute), nil
	}
	e := legacyLayer{legacyGroup: s.legacyGroup, paths: s.below(l)}
	if attribute == "layer" {
		e.top, e.paths = s.top && l.network == nil, append(e.paths, s.paths...)
	}
	return e, nil
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
