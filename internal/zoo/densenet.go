package zoo

import "fmt"

// densenet121 builds the network of Huang et al. 2016 with growth 32 and bottlenecks of 4 times the
// growth. Half of the channels are kept between blocks.
func densenet121(b *builder, x value) value {
	growth := b.width(32)
	x = b.convNorm("conv0", "norm0", x, convolution{out: 2 * growth, kernel: 7, stride: 2, pad: 3})
	x = b.maxPool("pool0", b.relu("relu0", x), 3, 2, 1)
	for i, layers := range []int{6, 12, 24, 16} {
		if i > 0 {
			x = b.transition(fmt.Sprintf("transition%d", i), x)
		}
		for j := range layers {
			x = b.denseLayer(fmt.Sprintf("denseblock%d.denselayer%d", i+1, j+1), x, growth)
		}
	}
	x = b.relu("relu5", b.norm("norm5", x))
	return b.classifier("classifier", b.globalAvgPool("avgpool", x))
}

// denseLayer appends growth channels to those of x.
func (b *builder) denseLayer(name string, x value, growth int) value {
	y := b.relu(name+".relu1", b.norm(name+".norm1", x))
	y = b.convNorm(name+".conv1", name+".norm2", y, convolution{out: 4 * growth, kernel: 1, stride: 1})
	y = b.relu(name+".relu2", y)
	y = b.conv(name+".conv2", y, convolution{out: growth, kernel: 3, stride: 1, pad: 1})
	return b.concat(name+".concat", x, y)
}

// transition halves channels and extents.
func (b *builder) transition(name string, x value) value {
	x = b.relu(name+".relu", b.norm(name+".norm", x))
	x = b.conv(name+".conv", x, convolution{out: x.c / 2, kernel: 1, stride: 1})
	return b.avgPool(name+".pool", x, 2, 2)
}
