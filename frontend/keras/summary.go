package keras

import (
	"fmt"
	"slices"

	"modelc/frontend/keras/hdf5"
	"modelc/frontend/source"
)

// describe returns what the model's file says of a layer, for its call k. Names and
// numbers are those of Keras' summary().
func (s *scope) describe(l *layer, k int) source.Layer {
	d := source.Layer{Name: l.name, Class: l.class}
	if l.network != nil && d.Class != "Sequential" {
		d.Class = "Functional"
	}
	for _, r := range s.operands(l, k) {
		d.Read(r.layer)
	}
	c := l.config
	for _, key := range []string{"kernel_size", "pool_size"} {
		if list, ok := integers(c.get(key)); ok {
			d.Kernel = list
		}
	}
	if d.Kernel == nil {
		return d
	}
	rank := len(d.Kernel)
	same := func(key string) []int { // a number stands for all axes
		list, ok := integers(c.get(key))
		if n, one := integer(c.get(key)); one {
			list, ok = slices.Repeat([]int{n}, rank), true
		}
		if !ok {
			return nil
		}
		return list
	}
	d.Strides, d.Dilations = same("strides"), same("dilation_rate")
	if d.Strides == nil && c.get("pool_size") != nil { // a pool's strides are its size
		d.Strides = d.Kernel
	}
	d.Padding = text(c.get("padding"))
	if n, ok := integer(c.get("groups")); ok {
		d.Groups = n
	}
	return d
}

// operands returns the tensors that call k of a layer reads.
func (s *scope) operands(l *layer, k int) (list []ref) {
	if k < len(l.calls) {
		add := func(r ref) any {
			list = append(list, r)
			return nil
		}
		mapRefs(l.calls[k].args, add)
		mapRefs(l.calls[k].kwargs, add)
	} else if i := slices.Index(s.n.layers, l); s.n.sequential && i > 0 {
		list = append(list, ref{layer: s.n.layers[i-1].name})
	}
	return list
}

// reads returns the names of the tensors that call k of a layer reads. The first layer of a
// Sequential model without an InputLayer reads the model's input.
func (s *scope) reads(l *layer, k int) (names []string) {
	for _, r := range s.operands(l, k) {
		names = append(names, tensorName(r))
	}
	if names == nil && s.n.sequential {
		names = []string{"input"}
	}
	return names
}

// makes returns the names of the n results of call k of a layer.
func makes(l *layer, k, n int) (names []string) {
	for i := range n {
		names = append(names, tensorName(ref{layer: l.name, node: k, tensor: i}))
	}
	return names
}

// tensorName returns a name for a tensor of a model. The first result of a layer has the name of
// the layer.
func tensorName(r ref) string {
	if r.node == 0 && r.tensor == 0 {
		return r.layer
	}
	return fmt.Sprintf("%s:%d:%d", r.layer, r.node, r.tensor)
}

// fixed are the weights that training does not change by gradients.
var fixed = map[string]bool{
	"moving_mean": true, "moving_variance": true, "moving_stddev": true, // of BatchNormalization
	"renorm_mean": true, "renorm_stddev": true, // of its renorm
	"mean": true, "variance": true, "count": true, // of Normalization
}

// count counts the elements of a layer's weight once.
func (im *importer) count(l *layer, name string, d *hdf5.Dataset) {
	if im.counted[d.Path()] {
		return
	}
	if im.counted == nil {
		im.counted = map[string]bool{}
	}
	im.counted[d.Path()] = true
	n := int64(1)
	for _, e := range d.Shape {
		n *= int64(e)
	}
	trainable, given := l.config.get("trainable").(bool)
	im.layers.Count(n, !fixed[name] && (trainable || !given))
}
