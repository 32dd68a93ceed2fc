// Package zoo writes the classic convolutional networks as ONNX files with seeded random weights.
//
// The architectures have all layers and the published parameter counts. The weights are not trained.
// They are drawn so that a network of any depth has the numerical behaviour of a trained one:
// activations stay near one, batch-norm statistics differ between channels and are roughly those of
// the data, and different inputs have different scores. Tests of a compiler and benchmarks need these
// properties, and no download.
//
// A file depends only on the name and the options. It has the same bytes on all machines.
package zoo

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Options scale a network. The zero value is the published network.
type Options struct {
	Width   float64 // multiplies channel and hidden-unit counts, rounded to multiples of 4; 0 means 1
	Size    int     // height and width of the input in pixels; 0 means the published size
	Classes int     // outputs of the classifier; 0 means the published number
	Batch   int     // images per run, fixed in the file; 0 means 1
	Seed    uint64  // selects the weights
	Logits  bool    // omit the final Softmax
}

// Info describes the published network, which has zero Options.
type Info struct {
	Name       string
	Title      string // description in one line, with the published variant
	Channels   int    // channels of the input image
	Size       int    // height and width of the input
	Classes    int
	Parameters int64 // number of trained parameters, without running statistics of batch normalisation
	MACs       int64 // multiply-accumulates of convolutions and dense layers for one image
}

// network is a row of the table of networks.
type network struct {
	name     string
	title    string
	channels int
	size     int
	classes  int
	centre   float64                     // see builder.weights
	build    func(*builder, value) value // builds the layers from the image to the logits
}

var networks = []network{
	{"lenet5", "LeNet-5 (LeCun 1998): tanh, average pooling, 28x28 padded to 32x32", 1, 28, 10, 0.6, lenet5(original)},
	{"lenet5-relu", "LeNet-5 as taught today: ReLU, max pooling", 1, 28, 10, 0.6, lenet5(modern)},
	{"vgg16", "VGG-16 (Simonyan 2014), configuration D", 3, 224, 1000, 0.6, vgg(2, 2, 3, 3, 3)},
	{"vgg19", "VGG-19 (Simonyan 2014), configuration E", 3, 224, 1000, 0.6, vgg(2, 2, 4, 4, 4)},
	{"resnet18", "ResNet-18 v1 (He 2015), as in torchvision", 3, 224, 1000, 0.8, resnet(basicBlock, 2, 2, 2, 2)},
	{"resnet50", "ResNet-50 v1 (He 2015), stride in the 3x3 convolution, as in torchvision", 3, 224, 1000, 0.6, resnet(bottleneckBlock, 3, 4, 6, 3)},
	{"resnet50v2", "ResNet-50 v2 (He 2016), pre-activation and identity mappings, as in Keras", 3, 224, 1000, 0.6, resnet50v2},
	{"densenet121", "DenseNet-121 (Huang 2016), as in torchvision", 3, 224, 1000, 0.9, densenet121},
	{"squeezenet1.1", "SqueezeNet 1.1 (Iandola 2016), as in torchvision", 3, 224, 1000, 0.9, squeezenet11},
	{"mobilenetv2", "MobileNetV2 1.0 (Sandler 2018), as in torchvision", 3, 224, 1000, 0.8, mobilenetv2},
}

// Names lists the networks, oldest first.
func Names() []string {
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = n.name
	}
	return names
}

// Lookup returns the description of the network with the given name.
func Lookup(name string) (Info, error) {
	n, err := find(name)
	if err != nil {
		return Info{}, err
	}
	b, err := n.assemble(Options{})
	if err != nil {
		return Info{}, err
	}
	return Info{n.name, n.title, n.channels, n.size, n.classes, b.parameters(), b.macs}, nil
}

// Write writes the network with the given name to w as an ONNX model (IR version 8, opset 13).
//
// The model has one input, "input", float32 [Batch, channels, Size, Size]. Its values should have
// mean zero and variance one. The model has one output, "output", float32 [Batch, Classes], with
// probabilities. If o.Logits is set, the output has scores with a standard deviation of about 2.
//
// Weights are drawn while they are written, so the memory does not depend on the model's size. The
// writes to w are large and need no buffer.
func Write(w io.Writer, name string, o Options) error {
	n, err := find(name)
	if err != nil {
		return err
	}
	b, err := n.assemble(o)
	if err != nil {
		return err
	}
	return b.encode(w)
}

func find(name string) (network, error) {
	i := slices.IndexFunc(networks, func(n network) bool { return n.name == name })
	if i < 0 {
		return network{}, fmt.Errorf("zoo: unknown network %q; want %s", name, strings.Join(Names(), ", "))
	}
	return networks[i], nil
}

// assemble builds the graph of n without its weights.
func (n network) assemble(o Options) (*builder, error) {
	if o.Width < 0 || o.Size < 0 || o.Classes < 0 || o.Batch < 0 {
		return nil, errors.New("zoo: width, size, classes and batch must not be negative")
	}
	if o.Width == 0 {
		o.Width = 1
	}
	if o.Size == 0 {
		o.Size = n.size
	}
	if o.Classes == 0 {
		o.Classes = n.classes
	}
	if o.Batch == 0 {
		o.Batch = 1
	}
	b := &builder{Options: o, network: n}
	b.input = value{name: "input", c: n.channels, h: o.Size, w: o.Size, sq: 1}
	out := n.build(b, b.input)
	if !o.Logits {
		out = b.softmax("softmax", out)
	}
	b.output = b.rename(out, "output")
	return b, b.err
}
