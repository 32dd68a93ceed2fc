package ir

import (
	"fmt"
	"math"
	"reflect"
)

// The limits of tensors and attributes. Networks for pictures stay far below them. Sums of
// a few limits, and the product of any two in 64 bits, do not overflow.
const (
	// MaxExtent is the maximum extent of an axis and the maximum number of elements
	// of a tensor. If int has 32 bits it is smaller, so that int holds the size in
	// bytes.
	MaxExtent = min(1<<30, math.MaxInt/8)
	// MaxStep is the maximum step, border or window along an axis.
	MaxStep = 1 << 24
	// MaxRank is the maximum number of axes of a tensor, and the depth of nested
	// loops in the runtime.
	MaxRank = 8
)

// Limit is the range of values that an attribute may have.
type Limit struct {
	// Names lists the names of the attribute: of fields in the text form, of ONNX
	// attributes and operands, and of keys in a Keras configuration.
	Names    []string
	Min, Max int64
	Doc      string
}

// limits lists every integer that a model may set. Infer checks the other requirements of
// an op, for example that an axis exists.
var limits = []Limit{
	{[]string{"rank"}, 0, MaxRank, "the axes of a tensor"},
	{[]string{"shape", "target_shape", "output_shape", "sizes"}, -1, MaxExtent, "extents; ONNX and Keras leave one open as −1"},
	{[]string{"spatial"}, 0, MaxExtent, "extents behind batch and channels"},
	{[]string{"height", "width"}, 1, MaxStep, "extents of a picture"},
	{[]string{"axis", "axes", "perm", "dims"}, -MaxRank, MaxRank, "axes; ONNX and Keras count negative ones from the end"},
	{[]string{"batch_dims"}, 0, MaxRank, "the leading axes that two operands share"},

	{[]string{"kernel", "kernel_shape", "kernel_size", "pool_size"}, 1, MaxStep, "the extents of a window"},
	{[]string{"strides"}, 1, MaxStep, "the distance between windows"},
	{[]string{"dilations", "dilation_rate"}, 1, MaxStep, "the distance between elements of a window"},
	{[]string{"pads", "paddings"}, -MaxStep, MaxStep, "borders; negative ones crop"},
	{[]string{"padding", "cropping"}, 0, MaxStep, "borders of a picture"},
	{[]string{"outputPads", "output_padding"}, 0, MaxStep, "zeros at the ends of a transposed convolution"},
	{[]string{"extra"}, 0, MaxStep, "the room that ceil_mode adds"},
	{[]string{"groups", "group", "num_groups"}, 1, MaxExtent, "groups of channels"},
	{[]string{"filters", "units", "depth_multiplier"}, 1, MaxExtent, "the channels that a layer makes"},
	{[]string{"p"}, 0, MaxExtent, "the order of a norm"},
	{[]string{"size"}, 1, MaxStep, "the channels that a normalisation sees, or the factors of an upsampling"},

	{[]string{"start", "end", "starts", "ends"}, -MaxExtent, MaxExtent, "positions along an axis; ONNX clamps larger ones to it"},
	{[]string{"step", "steps"}, -MaxExtent, MaxExtent, "the distance between positions; ONNX clamps larger ones to the axis"},
	{[]string{"count", "split"}, 0, MaxExtent, "the elements of a part"},
	{[]string{"parts"}, 0, 1 << 12, "the parts that one operator cuts a tensor into"},
	{[]string{"position"}, -MaxExtent, MaxExtent, "a position in a sequence"},
	{[]string{"repeats", "n"}, 0, MaxExtent, "repetitions along an axis"},
	{[]string{"blocksize"}, 1, MaxStep, "the side of a block of pixels"},
	{[]string{"block_size"}, 0, MaxExtent, "the elements that share a scale; 0 is all"},
	{[]string{"lengths", "sequence_lens"}, 0, MaxExtent, "the steps of each example of a sequence"},
	{[]string{"hidden_size"}, 1, MaxExtent, "the hidden units of a recurrent layer"},
	{[]string{"layout"}, 0, 1, "the order of the axes of a sequence"},
	{[]string{"depth"}, 0, MaxExtent, "the classes of a one-hot code"},
	{[]string{"k"}, -MaxExtent, MaxExtent, "the number of elements to select, or a diagonal"},
	{[]string{"perClass", "max_output_boxes_per_class"}, 0, MaxExtent, "the number of boxes to select; ONNX clamps larger numbers"},
	{[]string{"aZero", "bZero", "xZero", "yZero", "lo", "hi"}, math.MinInt16, math.MaxUint16, "quantised integers"},
	{[]string{"opset"}, 0, 1 << 16, "an opset"},
	{[]string{"to", "dtype", "output_dtype", "precision"}, 0, math.MaxInt32, "a number of TensorProto.DataType"},
}

var limitByName = func() map[string]*Limit {
	m := map[string]*Limit{}
	for i := range limits {
		for _, name := range limits[i].Names {
			if m[name] != nil {
				panic("ir: limit listed twice: " + name)
			}
			m[name] = &limits[i]
		}
	}
	return m
}()

// LimitOf returns the range of an attribute, and whether the table has one.
func LimitOf(name string) (Limit, bool) {
	if l := limitByName[name]; l != nil {
		return *l, true
	}
	return Limit{}, false
}

// CheckLimit returns an error if x, a value of an attribute, is outside its range, or if
// the attribute has no range: code must not compute with unbounded numbers.
func CheckLimit(name string, x int64) error {
	l, ok := LimitOf(name)
	if !ok {
		return fmt.Errorf("%s has no range of legal values", name)
	}
	if x < l.Min || x > l.Max {
		return fmt.Errorf("%s: %d is outside the range from %d to %d", name, x, l.Min, l.Max)
	}
	return nil
}

// CheckAttributes returns an error if an attribute of op is outside its range.
func CheckAttributes(op Op) error {
	v := reflect.ValueOf(op)
	for i := range v.NumField() {
		f, name := v.Field(i), attrName(v.Type().Field(i).Name)
		switch {
		case f.Kind() == reflect.Int:
			if err := CheckLimit(name, f.Int()); err != nil {
				return err
			}
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Int:
			for k := range f.Len() {
				if err := CheckLimit(name, f.Index(k).Int()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// span returns the number of elements that a window of k elements covers if they are d
// apart.
func span(k, d int) int64 { return int64(k-1)*int64(d) + 1 }
