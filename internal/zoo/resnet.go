package zoo

import "fmt"

// resnet builds the first version of the residual network (He et al. 2015). A batch normalisation
// follows every convolution, and ReLU follows the addition.
func resnet(block func(b *builder, name string, x value, channels, stride int) value, stages ...int) func(*builder, value) value {
	return func(b *builder, x value) value {
		x = b.convNorm("conv1", "bn1", x, convolution{out: b.width(64), kernel: 7, stride: 2, pad: 3})
		x = b.maxPool("maxpool", b.relu("relu", x), 3, 2, 1)
		for i, blocks := range stages {
			for j := range blocks {
				stride := 1
				if i > 0 && j == 0 {
					stride = 2
				}
				x = block(b, fmt.Sprintf("layer%d.%d", i+1, j), x, b.width(64<<i), stride)
			}
		}
		return b.classifier("fc", b.globalAvgPool("avgpool", x))
	}
}

// basicBlock builds two 3x3 convolutions beside the identity.
func basicBlock(b *builder, name string, x value, channels, stride int) value {
	y := b.convNorm(name+".conv1", name+".bn1", x, convolution{out: channels, kernel: 3, stride: stride, pad: 1})
	y = b.relu(name+".relu1", y)
	y = b.convNorm(name+".conv2", name+".bn2", y, convolution{out: channels, kernel: 3, stride: 1, pad: 1})
	return b.joinResidual(name, x, y, stride)
}

// bottleneckBlock builds a 1x1, a 3x3 and a 1x1 convolution beside the identity. The 3x3
// convolution has the stride.
func bottleneckBlock(b *builder, name string, x value, channels, stride int) value {
	y := b.convNorm(name+".conv1", name+".bn1", x, convolution{out: channels, kernel: 1, stride: 1})
	y = b.relu(name+".relu1", y)
	y = b.convNorm(name+".conv2", name+".bn2", y, convolution{out: channels, kernel: 3, stride: stride, pad: 1})
	y = b.relu(name+".relu2", y)
	y = b.convNorm(name+".conv3", name+".bn3", y, convolution{out: 4 * channels, kernel: 1, stride: 1})
	return b.joinResidual(name, x, y, stride)
}

// joinResidual adds the block's input x to its result y. It projects x if the shapes differ.
func (b *builder) joinResidual(name string, x, y value, stride int) value {
	if stride != 1 || x.c != y.c {
		x = b.convNorm(name+".downsample.0", name+".downsample.1", x, convolution{out: y.c, kernel: 1, stride: stride})
	}
	return b.relu(name+".relu", b.addTensors(name+".add", y, x))
}

func (b *builder) convNorm(conv, norm string, x value, p convolution) value {
	return b.norm(norm, b.conv(conv, x, p))
}

// resnet50v2 builds the second version (He et al. 2016). Normalisation and ReLU precede the
// convolutions, and blocks pass on the sums without an activation. The details are those of Keras:
// the last block of a stage has the stride, its shortcut is a 1x1 pool, convolutions without a
// normalisation behind them have a bias, and the image is padded with zeros before the first pool,
// whose inputs may be negative.
func resnet50v2(b *builder, x value) value {
	x = b.conv("conv1_conv", x, convolution{out: b.width(64), kernel: 7, stride: 2, pad: 3, bias: true})
	x = b.maxPool("pool1_pool", b.zeroPad("pool1_pad", x, 1), 3, 2, 0)
	for i, blocks := range []int{3, 4, 6, 3} {
		for j := range blocks {
			stride := 1
			if i < 3 && j == blocks-1 {
				stride = 2
			}
			x = b.preactivationBlock(fmt.Sprintf("conv%d_block%d", i+2, j+1), x, b.width(64<<i), stride, j == 0)
		}
	}
	x = b.relu("post_relu", b.norm("post_bn", x))
	return b.classifier("predictions", b.globalAvgPool("avg_pool", x))
}

func (b *builder) preactivationBlock(name string, x value, channels, stride int, project bool) value {
	y := b.relu(name+"_preact_relu", b.norm(name+"_preact_bn", x))
	switch {
	case project:
		x = b.conv(name+"_0_conv", y, convolution{out: 4 * channels, kernel: 1, stride: stride, bias: true})
	case stride > 1:
		x = b.maxPool(name+"_0_pool", x, 1, stride, 0)
	}
	y = b.convNorm(name+"_1_conv", name+"_1_bn", y, convolution{out: channels, kernel: 1, stride: 1})
	y = b.relu(name+"_1_relu", y)
	y = b.convNorm(name+"_2_conv", name+"_2_bn", y, convolution{out: channels, kernel: 3, stride: stride, pad: 1})
	y = b.relu(name+"_2_relu", y)
	y = b.conv(name+"_3_conv", y, convolution{out: 4 * channels, kernel: 1, stride: 1, bias: true})
	return b.addTensors(name+"_out", x, y)
}
