package zoo

import "fmt"

// squeezenet11 builds SqueezeNet 1.1 of Iandola et al. 2016: a convolution, eight fire modules, and
// a convolution with one channel per class. The score of a class is the rectified channel's average.
func squeezenet11(b *builder, x value) value {
	x = b.conv("conv1", x, convolution{out: b.width(64), kernel: 3, stride: 2, bias: true})
	x = b.relu("conv1.relu", x)
	for i, squeeze := range []int{16, 16, 32, 32, 48, 48, 64, 64} {
		if i == 0 || i == 2 || i == 4 {
			x = b.maxPoolCeil(fmt.Sprintf("pool%d", i+1), x, 3, 2, 0)
		}
		x = b.fire(fmt.Sprintf("fire%d", i+2), x, b.width(squeeze), b.width(4*squeeze))
	}
	x = b.scaledConv("conv10", x, convolution{out: b.Classes, kernel: 1, stride: 1, bias: true}, 3*logitsStd*logitsStd)
	return b.globalAvgPool("pool10", b.relu("conv10.relu", x))
}

// fire reduces the channels with a 1x1 convolution and expands them with a 1x1 and a 3x3
// convolution.
func (b *builder) fire(name string, x value, squeeze, expand int) value {
	x = b.relu(name+".squeeze.relu", b.conv(name+".squeeze", x, convolution{out: squeeze, kernel: 1, stride: 1, bias: true}))
	y := b.relu(name+".expand1x1.relu", b.conv(name+".expand1x1", x, convolution{out: expand, kernel: 1, stride: 1, bias: true}))
	z := b.relu(name+".expand3x3.relu", b.conv(name+".expand3x3", x, convolution{out: expand, kernel: 3, stride: 1, pad: 1, bias: true}))
	return b.concat(name+".concat", y, z)
}
