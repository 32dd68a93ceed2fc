package keras

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"modelc/ir"
)

// A network is a Sequential or Functional model: the whole model of a file, or
// a layer of another model. It has the same form for all versions of Keras.
type network struct {
	name       string
	sequential bool
	layers     []*layer
	byName     map[string]*layer
	inputs     []terminal // in the order of the model's inputs
	outputs    []terminal
	// inputShape is the input shape of a Sequential model without InputLayer,
	// or nil if the file does not contain it. Open extents are −1.
	inputShape []int
}

// terminal is an input or output of a network.
type terminal struct {
	name string
	ref  ref
}

// A layer is an entry of a network's list of layers: a Keras layer, an
// operation of keras.ops, or a network.
type layer struct {
	name    string
	class   string // "Conv2D"
	module  string // "keras.layers"; empty in .h5 files
	config  *record
	calls   []inbound // each use of the layer; none in a Sequential
	keras3  bool      // the calls have the format of Keras 3
	network *network  // if the layer is a model
	wrapped *layer    // of TimeDistributed
	key     string    // the layer's name in the weights of a .keras archive

	params map[string]*ir.Value // constants made from its weights, by name

	// directions are the layers of Bidirectional, forward and backward.
	directions []*layer
}

// ref identifies a tensor: result number tensor of call number node of a layer.
type ref struct {
	layer        string
	node, tensor int
}

// inbound holds the arguments of a call of a layer as JSON values, with refs in
// place of tensors.
type inbound struct {
	args   []any
	kwargs *record
}

// parseModel reads the configuration of a whole model.
func parseModel(m *record) (*network, error) {
	class := text(m.get("class_name"))
	if !isNetwork(class, m.get("config")) {
		return nil, fmt.Errorf("the model is a %q: only Sequential and Functional models are supported, because others need their Python code", class)
	}
	n, err := parseNetwork(m)
	if err != nil {
		return nil, err
	}
	if n.inputShape == nil {
		n.inputShape = shapeOf(object(m.get("build_config")).get("input_shape"))
	}
	return n, nil
}

// isNetwork reports whether a class with the given configuration is a model. A
// subclass of Model with the configuration of a Functional model is one.
func isNetwork(class string, config any) bool {
	switch class {
	case "Sequential":
		return true
	case "Functional", "Model":
		_, ok := object(config).get("layers").([]any)
		return ok
	}
	return false
}

// parseNetwork reads a model, or an entry of a list of layers that is a model.
func parseNetwork(m *record) (*network, error) {
	config := object(m.get("config"))
	n := &network{name: text(config.get("name")), byName: map[string]*layer{}, sequential: text(m.get("class_name")) == "Sequential"}
	list, ok := config.get("layers").([]any)
	if !ok {
		// Keras before 2.2.3 wrote the bare list.
		if list, ok = m.get("config").([]any); !ok || !n.sequential {
			return nil, fmt.Errorf("model %q has no list of layers", n.name)
		}
	}
	for i, e := range list {
		l, err := parseLayer(object(e))
		if err != nil {
			return nil, fmt.Errorf("model %q, layer %d: %w", n.name, i, err)
		}
		if n.byName[l.name] != nil {
			return nil, fmt.Errorf("model %q has two layers named %q", n.name, l.name)
		}
		n.byName[l.name] = l
		n.layers = append(n.layers, l)
	}
	n.assignKeys()
	if n.sequential {
		n.inputShape = shapeOf(config.get("build_input_shape"))
		if n.inputShape == nil && len(n.layers) > 0 {
			first := n.layers[0]
			if n.inputShape = first.batchShape(); n.inputShape == nil && first.network != nil {
				n.inputShape = first.network.inputShape
			}
		}
		return n, nil
	}
	var err error
	if n.inputs, err = terminals(config.get("input_layers")); err == nil {
		n.outputs, err = terminals(config.get("output_layers"))
	}
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", n.name, err)
	}
	if len(n.outputs) == 0 {
		return nil, fmt.Errorf("model %q has no outputs", n.name)
	}
	n.renumber()
	return n, nil
}

func parseLayer(m *record) (*layer, error) {
	l := &layer{class: text(m.get("class_name")), module: text(m.get("module")), config: object(m.get("config")), name: text(m.get("name")), params: map[string]*ir.Value{}}
	if l.class == "" {
		return nil, fmt.Errorf("it has no class_name")
	}
	if l.config == nil {
		l.config = newRecord()
	}
	if l.name == "" {
		l.name = text(l.config.get("name"))
	}
	if l.name == "" {
		return nil, fmt.Errorf("a %s has no name", l.class)
	}
	var err error
	if l.calls, l.keras3, err = parseCalls(m.get("inbound_nodes")); err != nil {
		return nil, fmt.Errorf("%q: inbound_nodes: %w", l.name, err)
	}
	if l.module == "" && l.keras3 && registry[nsOp][l.class] != nil && l.config.get("trainable") == nil {
		l.module = "keras.ops" // legacy files omit the module; layers have the field trainable, operations do not
	}
	if l.class == "Bidirectional" {
		if l.directions, err = parseDirections(l); err != nil {
			return nil, fmt.Errorf("%q: %w", l.name, err)
		}
	}
	if isNetwork(l.class, m.get("config")) {
		if l.network, err = parseNetwork(m); err != nil {
			return nil, err
		}
		if l.network.inputShape == nil {
			l.network.inputShape = shapeOf(object(m.get("build_config")).get("input_shape"))
		}
		if l.network.name == "" {
			l.network.name = l.name
		}
	}
	if inner := object(l.config.get("layer")); l.class == "TimeDistributed" && inner != nil {
		if l.wrapped, err = parseLayer(inner); err != nil {
			return nil, fmt.Errorf("%q: %w", l.name, err)
		}
	}
	return l, nil
}

// batchShape returns the input shape in the configuration of an InputLayer or
// of the first layer of a Sequential. It returns nil if there is none.
func (l *layer) batchShape() []int {
	for _, key := range []string{"batch_shape", "batch_input_shape"} {
		if s := shapeOf(l.config.get(key)); s != nil {
			return s
		}
	}
	return nil
}

// isOperation reports whether the layer is an operation of keras.ops, whose
// class names collide with those of layers.
func (l *layer) isOperation() bool {
	return strings.HasPrefix(l.module, "keras.src.ops.") || strings.HasPrefix(l.module, "keras.ops") || strings.HasPrefix(l.module, "keras.src.activations.")
}

// The regular expressions of Keras's function to_snake_case.
var (
	notWord   = regexp.MustCompile(`\W+`)
	wordStart = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	caseTurn  = regexp.MustCompile(`([a-z])([A-Z])`)
)

func snakeCase(class string) string {
	s := notWord.ReplaceAllString(class, "")
	s = wordStart.ReplaceAllString(s, "${1}_$2")
	return strings.ToLower(caseTurn.ReplaceAllString(s, "${1}_$2"))
}

// assignKeys sets the keys of the layers, which are their names in the weights
// of a .keras archive: the class with a counter over the layers of this
// network. The InputLayer of a Sequential is not counted.
func (n *network) assignKeys() {
	used := map[string]int{}
	for _, l := range n.layers {
		if l.isOperation() || n.sequential && l.class == "InputLayer" {
			continue
		}
		l.key = snakeCase(l.class)
		count := used[l.key]
		used[l.key]++
		if count > 0 {
			l.key = fmt.Sprintf("%s_%d", l.key, count)
		}
	}
}

// hasInput reports whether the network's first layer is an InputLayer.
func (n *network) hasInput() bool { return len(n.layers) > 0 && n.layers[0].class == "InputLayer" }

// renumber changes the references to calls of submodels so that they count from
// 0. In Keras 2 they count from 1, because call 0 is the creation of the
// submodel; the exception is a Sequential that was created without an input. In
// Keras 3 only the model's outputs count from 1, and only for Functional
// submodels.
func (n *network) renumber() {
	lowest, highest := map[string]int{}, map[string]int{}
	count := func(r ref) ref {
		if at, ok := lowest[r.layer]; !ok || r.node < at {
			lowest[r.layer] = r.node
		}
		highest[r.layer] = max(highest[r.layer], r.node)
		return r
	}
	n.outputRefs(count)
	first := maps.Clone(lowest)
	n.inboundRefs(count)
	n.outputRefs(func(r ref) ref {
		if l := n.byName[r.layer]; l != nil && l.network != nil && l.keras3 && !l.network.sequential && first[r.layer] > 0 {
			r.node--
		}
		return r
	})
	keras2 := func(r ref) ref {
		if l := n.byName[r.layer]; l != nil && l.network != nil && !l.keras3 && lowest[r.layer] > 0 && (l.network.hasInput() || highest[r.layer] >= len(l.calls)) {
			r.node--
		}
		return r
	}
	n.outputRefs(keras2)
	n.inboundRefs(keras2)
}

// outputRefs replaces the references in the network's outputs.
func (n *network) outputRefs(f func(ref) ref) {
	for i := range n.outputs {
		n.outputs[i].ref = f(n.outputs[i].ref)
	}
}

// inboundRefs replaces the references in the arguments of layers.
func (n *network) inboundRefs(f func(ref) ref) {
	for _, l := range n.layers {
		for i := range l.calls {
			c := &l.calls[i]
			for k, a := range c.args {
				c.args[k] = mapRefs(a, func(r ref) any { return f(r) })
			}
			c.kwargs = mapRefs(c.kwargs, func(r ref) any { return f(r) }).(*record)
		}
	}
}

// mapRefs returns a copy of a JSON value with every ref replaced.
func mapRefs(v any, f func(ref) any) any {
	switch v := v.(type) {
	case ref:
		return f(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = mapRefs(e, f)
		}
		return out
	case *record:
		out := newRecord()
		for _, k := range v.keys {
			out.set(k, mapRefs(v.values[k], f))
		}
		return out
	}
	return v
}
