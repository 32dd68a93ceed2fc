package keras

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"modelc/ir"
)

// The namespaces of the classes in a model's list of layers. The same name may
// occur in several namespaces: Add is a layer and an operation.
const (
	nsLayer = "keras.layers"
	nsOp    = "keras.ops"
	nsTF    = "tf" // TensorFlow operators in Keras 2: TFOpLambda, SlicingOpLambda
)

// entry holds the builder of a class of layers.
type entry struct {
	family string
	build  func(*call) []*ir.Value
}

var registry = map[string]map[string]*entry{nsLayer: {}, nsOp: {}, nsTF: {}}

// register adds a family of layers with one result. Each file of layers calls it
// at least once.
func register(namespace, family string, builders map[string]func(*call) *ir.Value) struct{} {
	many := map[string]func(*call) []*ir.Value{}
	for name, f := range builders {
		many[name] = func(c *call) []*ir.Value { return []*ir.Value{f(c)} }
	}
	return registerMany(namespace, family, many)
}

// registerMany adds a family of layers with any number of results.
func registerMany(namespace, family string, builders map[string]func(*call) []*ir.Value) struct{} {
	for name, f := range builders {
		if registry[namespace][name] != nil {
			panic("keras: registered twice: " + namespace + "." + name)
		}
		registry[namespace][name] = &entry{family, f}
	}
	return struct{}{}
}

// Supported is a row of the table of layers.
type Supported struct {
	Namespace string // "keras.layers", "keras.ops" or, in models of Keras 2, "tf"
	Name      string // "Conv2D"
	Family    string
}

// Table lists the supported layers and operations by namespace, family and name.
func Table() []Supported {
	var t []Supported
	for ns, entries := range registry {
		for name, e := range entries {
			t = append(t, Supported{ns, name, e.family})
		}
	}
	slices.SortFunc(t, func(a, b Supported) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Name, b.Name))
	})
	return t
}

// lookup returns the entry of a layer. If the layer is not supported, it returns
// the reason and a remedy.
func lookup(l *layer) (e *entry, reason, remedy string) {
	switch {
	case l.custom != "":
		return nil, "it is of the custom class " + l.custom + ", whose Python code modelc does not run", "build it from the layers of Keras or keras.ops, and save the model again"
	case quantised(l.config.get("dtype")) != "":
		mode := quantised(l.config.get("dtype"))
		return nil, "model.quantize(" + strconv.Quote(mode) + ") changed it", "save the model before model.quantize, and quantise it with `modelc quantize`"
	case l.config.has("nb_filter") || l.config.has("border_mode") || l.config.has("output_dim") && l.class == "Dense":
		return nil, "Keras 1 saved it", "load the model with Keras 2 and save it again"
	case l.class == "Lambda":
		return nil, "it contains Python code, which modelc does not run", "replace it by built-in layers or keras.ops, and save the model again"
	case l.isTF():
		// Operators of version 1 differ in the names of parameters, except those on images.
		name := text(l.config.get("function"))
		if short := strings.TrimPrefix(name, "compat.v1."); !strings.HasPrefix(short, "image.") {
			name = short
		}
		if e = registry[nsTF][name]; e == nil {
			return nil, "the TensorFlow operator " + name + " is not supported" + near(nsTF, name), "replace it by a layer"
		}
		return e, "", ""
	case l.isOperation():
		if e = registry[nsOp][l.class]; e == nil {
			return nil, "this operation is not supported" + near(nsOp, l.class), ""
		}
		return e, "", ""
	}
	if e = registry[nsLayer][l.class]; e != nil {
		return e, "", ""
	}
	if l.module == "" {
		return nil, "this layer is not supported, or it is of a custom class, whose Python code modelc does not run" + near(nsLayer, l.class), "build it from the layers of Keras, and save the model again"
	}
	return nil, "this layer is not supported" + near(nsLayer, l.class), ""
}

// quantised returns the mode of a dtype policy that model.quantize has set, such as
// "int8", or "" for another policy.
func quantised(policy any) string {
	name, config := text(policy), newRecord()
	if r := object(policy); r != nil {
		config = object(r.get("config"))
		name = text(config.get("name"))
	}
	if mode := text(config.get("mode")); mode != "" {
		return mode
	}
	mode, _, found := strings.Cut(name, "_from_")
	if !found {
		return ""
	}
	return mode
}

// near suggests supported classes with a similar name.
func near(namespace, name string) string {
	var list []string
	for n := range registry[namespace] {
		if len(n) > 3 && len(name) > 3 && (strings.Contains(name, n) || strings.Contains(n, name)) {
			list = append(list, n)
		}
	}
	if list == nil {
		return ""
	}
	slices.Sort(list)
	return " (similar names: " + strings.Join(list, ", ") + ")"
}
