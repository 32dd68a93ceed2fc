package zoo

import (
	"fmt"
	"math"

	"modelc/internal/onnxfile"
)

// value is a tensor of the graph: [N, c, h, w], or [N, c] with h = w = 1 after flattening.
//
// mean and sq are the expected first and second moments of its elements, over inputs, positions
// and channels, for an input of mean zero and variance one. Batch-norm statistics are drawn around
// them, and the classifier's weights are scaled by them.
type value struct {
	name     string
	c, h, w  int
	flat     bool
	mean, sq float64
}

func (v value) variance() float64 { return v.sq - v.mean*v.mean }

// builder assembles a graph layer by layer. It keeps the first error, after which the results of
// methods are meaningless. So the code of a network reads like the table in its paper.
type builder struct {
	Options
	network
	input   value
	output  value
	nodes   []onnxfile.Node
	tensors []tensor
	macs    int64 // multiply-accumulates for one image
	err     error
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("zoo: %s at size %d: %s", b.name, b.Size, fmt.Sprintf(format, args...))
	}
}

// width multiplies a published channel count by the width multiplier.
func (b *builder) width(c int) int {
	if b.Width == 1 {
		return c
	}
	return max(4, 4*int(math.Round(float64(c)*b.Width/4)))
}

func (b *builder) parameters() int64 {
	var n int64
	for _, t := range b.tensors {
		if t.trained {
			n += int64(t.len())
		}
	}
	return n
}

// add appends a node that reads x and the extra inputs. It returns x with the node's name; callers
// update the other fields.
func (b *builder) add(op, name string, x value, extra []string, attrs ...onnxfile.Attribute) value {
	b.nodes = append(b.nodes, onnxfile.Node{Op: op, Name: name, Inputs: append([]string{x.name}, extra...), Outputs: []string{name}, Attributes: attrs})
	x.name = name
	return x
}

// tensor appends an initialiser and returns its name.
func (b *builder) tensor(name string, trained bool, d distribution, dims ...int) string {
	b.tensors = append(b.tensors, tensor{name, dims, trained, d})
	return name
}

// rename changes the name of the last node's result to a name of the model's interface.
func (b *builder) rename(x value, name string) value {
	b.nodes[len(b.nodes)-1].Outputs = []string{name}
	x.name = name
	return x
}

// convolution holds the extents of a convolution. Group 0 means 1.
type convolution struct {
	out, kernel, stride, pad int
	groups                   int
	bias                     bool
}

// conv appends a convolution with He-initialised weights, which double the second moment; ReLU
// halves it.
func (b *builder) conv(name string, x value, p convolution) value {
	return b.scaledConv(name, x, p, 2*x.sq)
}

// scaledConv appends a convolution whose results have the second moment sq.
func (b *builder) scaledConv(name string, x value, p convolution, sq float64) value {
	groups := max(1, p.groups)
	fanIn := x.c / groups * p.kernel * p.kernel
	params := []string{b.tensor(name+".weight", true, b.weights(x, fanIn, sq), p.out, x.c/groups, p.kernel, p.kernel)}
	if p.bias {
		params = append(params, b.tensor(name+".bias", true, uniform(-0.1, 0.1), p.out))
	}
	y := b.add("Conv", name, x, params,
		onnxfile.Ints("dilations", 1, 1), onnxfile.Int("group", groups), onnxfile.Ints("kernel_shape", p.kernel, p.kernel),
		onnxfile.Ints("pads", p.pad, p.pad, p.pad, p.pad), onnxfile.Ints("strides", p.stride, p.stride))
	y.c, y.h, y.w = p.out, b.extent(name, x.h, p.kernel, p.stride, p.pad, false), b.extent(name, x.w, p.kernel, p.stride, p.pad, false)
	y.mean, y.sq = 0, sq
	b.macs += int64(y.c*y.h*y.w) * int64(fanIn)
	return y
}

// weights returns the distribution for which sums of fanIn elements of x have the second moment sq.
//
// In a simple random network the mean of rectified values, which is the same for all inputs, grows
// from layer to layer until all inputs give the same scores. Therefore a part of the mean of each
// output channel's weights is subtracted, which reduces the influence of the inputs' mean. The part
// is the network's centre. With centre 1 a deep network becomes chaotic and amplifies rounding errors
// a hundredfold.
func (b *builder) weights(x value, fanIn int, sq float64) distribution {
	left := (1 - b.centre) * x.mean
	return normal(math.Sqrt(sq/(float64(fanIn)*(x.variance()+left*left))), b.centre)
}

// extent returns the output extent of a sliding window.
func (b *builder) extent(name string, in, kernel, stride, pad int, ceil bool) int {
	room := in + 2*pad - kernel
	if room < 0 {
		b.fail("%s: a window of %d does not fit into %d pixels; ask for a larger size", name, kernel, in)
		return 1
	}
	if ceil {
		room += stride - 1
	}
	return room/stride + 1
}

// norm appends a batch normalisation whose statistics are drawn around the expected moments of x.
func (b *builder) norm(name string, x value) value {
	variance := x.variance()
	std := math.Sqrt(variance)
	y := b.add("BatchNormalization", name, x, []string{
		b.tensor(name+".weight", true, uniform(0.75, 1.25), x.c),
		b.tensor(name+".bias", true, uniform(-0.1, 0.1), x.c),
		b.tensor(name+".running_mean", false, uniform(x.mean-0.2*std, x.mean+0.2*std), x.c),
		b.tensor(name+".running_var", false, uniform(0.7*variance, 1.4*variance), x.c),
	}, onnxfile.Float("epsilon", 1e-5))
	y.mean, y.sq = 0, 1
	return y
}

func (b *builder) relu(name string, x value) value {
	return rectified(b.add("Relu", name, x, nil))
}

// relu6 appends a ReLU clipped at 6. Values near one do not reach the limit.
func (b *builder) relu6(name string, x value) value {
	bounds := []string{"relu6.min", "relu6.max"}
	if !b.has(bounds[0]) {
		b.tensor(bounds[0], false, constant(0))
		b.tensor(bounds[1], false, constant(6))
	}
	return rectified(b.add("Clip", name, x, bounds))
}

// rectified returns x with the moments of its positive part, assuming a normal distribution.
func rectified(x value) value {
	std := math.Sqrt(x.variance())
	z := x.mean / std
	density := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
	positive := (1 + math.Erf(z/math.Sqrt2)) / 2
	x.mean, x.sq = x.mean*positive+std*density, x.sq*positive+x.mean*std*density
	return x
}

func (b *builder) has(tensor string) bool {
	for _, t := range b.tensors {
		if t.name == tensor {
			return true
		}
	}
	return false
}

// tanh appends a tanh. The second moment is at most one; the formula was fitted for normally
// distributed x.
func (b *builder) tanh(name string, x value) value {
	y := b.add("Tanh", name, x, nil)
	y.mean, y.sq = 0, x.sq/(1+1.7*x.sq)
	return y
}

// maxPool appends a max pool with the output extent rounded down.
func (b *builder) maxPool(name string, x value, kernel, stride, pad int) value {
	return b.maxPoolRounded(name, x, kernel, stride, pad, false)
}

// maxPoolCeil appends a max pool with the output extent rounded up.
func (b *builder) maxPoolCeil(name string, x value, kernel, stride, pad int) value {
	return b.maxPoolRounded(name, x, kernel, stride, pad, true)
}

func (b *builder) maxPoolRounded(name string, x value, kernel, stride, pad int, ceil bool) value {
	attrs := []onnxfile.Attribute{onnxfile.Ints("kernel_shape", kernel, kernel), onnxfile.Ints("pads", pad, pad, pad, pad), onnxfile.Ints("strides", stride, stride)}
	if ceil {
		attrs = append(attrs, onnxfile.Int("ceil_mode", 1))
	}
	y := b.add("MaxPool", name, x, nil, attrs...)
	y.h, y.w = b.extent(name, x.h, kernel, stride, pad, ceil), b.extent(name, x.w, kernel, stride, pad, ceil)
	if kernel > 1 && y.mean == 0 {
		y = rectified(y) // the maximum of many values around zero is rarely negative
	}
	switch kernel { // factors measured after ReLU in the networks of this package
	case 2:
		y.mean, y.sq = 2.6*y.mean, 3*y.sq
	case 3:
		y.mean, y.sq = 3.7*y.mean, 5*y.sq
	}
	return y
}

func (b *builder) avgPool(name string, x value, kernel, stride int) value {
	y := b.add("AveragePool", name, x, nil, onnxfile.Ints("kernel_shape", kernel, kernel), onnxfile.Ints("strides", stride, stride))
	y.h, y.w = b.extent(name, x.h, kernel, stride, 0, false), b.extent(name, x.w, kernel, stride, 0, false)
	return averaged(y, kernel*kernel)
}

// globalAvgPool appends an average of each channel over all positions and a flattening.
func (b *builder) globalAvgPool(name string, x value) value {
	y := b.add("GlobalAveragePool", name, x, nil)
	y.h, y.w = 1, 1
	return b.flatten(name+".flatten", averaged(y, x.h*x.w))
}

// averaged returns x with the variance of a mean of n neighbours. Neighbours are not independent:
// measurements show that the mean divides the variance by the fourth root of n instead of n.
func averaged(x value, n int) value {
	x.sq = x.mean*x.mean + x.variance()/math.Sqrt(math.Sqrt(float64(n)))
	return x
}

// zeroPad appends a node that surrounds the image with a border of zeros.
func (b *builder) zeroPad(name string, x value, pad int) value {
	pads := b.tensor(name+".pads", false, int64s(0, 0, pad, pad, 0, 0, pad, pad), 8)
	y := b.add("Pad", name, x, []string{pads})
	y.h, y.w = x.h+2*pad, x.w+2*pad
	return y
}

func (b *builder) addTensors(name string, x, z value) value {
	y := b.add("Add", name, x, []string{z.name})
	y.mean, y.sq = x.mean+z.mean, x.sq+z.sq+2*x.mean*z.mean
	return y
}

func (b *builder) concat(name string, x, z value) value {
	y := b.add("Concat", name, x, []string{z.name}, onnxfile.Int("axis", 1))
	y.c = x.c + z.c
	part := float64(x.c) / float64(y.c)
	y.mean, y.sq = part*x.mean+(1-part)*z.mean, part*x.sq+(1-part)*z.sq
	return y
}

func (b *builder) flatten(name string, x value) value {
	y := b.add("Flatten", name, x, nil, onnxfile.Int("axis", 1))
	y.c, y.h, y.w, y.flat = x.c*x.h*x.w, 1, 1, true
	return y
}

// dense appends a hidden fully connected layer with He-initialised weights.
func (b *builder) dense(name string, x value, units int) value {
	y := b.gemm(name, x, units, b.weights(x, x.c, 2*x.sq))
	y.mean, y.sq = 0, 2*x.sq
	return y
}

// logitsStd is the standard deviation of the classifier's scores over the classes.
const logitsStd = 2

// classifier appends the last fully connected layer. The mean of its weights is subtracted
// completely, so only differences between features count. No layer after it can amplify errors.
func (b *builder) classifier(name string, x value) value {
	return b.gemm(name, x, b.Classes, normal(logitsStd/math.Sqrt(float64(x.c)*x.variance()), 1))
}

func (b *builder) gemm(name string, x value, units int, d distribution) value {
	y := b.add("Gemm", name, x, []string{
		b.tensor(name+".weight", true, d, units, x.c),
		b.tensor(name+".bias", true, uniform(-0.1, 0.1), units),
	}, onnxfile.Float("alpha", 1), onnxfile.Float("beta", 1), onnxfile.Int("transB", 1))
	b.macs += int64(x.c) * int64(units)
	y.c = units
	return y
}

func (b *builder) softmax(name string, x value) value {
	return b.add("Softmax", name, x, nil, onnxfile.Int("axis", 1))
}
