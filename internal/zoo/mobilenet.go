package zoo

import "fmt"

// mobilenetv2 builds the network of Sandler et al. 2018 at width 1.0.
func mobilenetv2(b *builder, x value) value {
	x = b.convNorm("features.0.conv", "features.0.bn", x, convolution{out: b.width(32), kernel: 3, stride: 2, pad: 1})
	x = b.relu6("features.0.relu6", x)
	stages := []struct{ expand, out, blocks, stride int }{
		{1, 16, 1, 1},
		{6, 24, 2, 2},
		{6, 32, 3, 2},
		{6, 64, 4, 2},
		{6, 96, 3, 1},
		{6, 160, 3, 2},
		{6, 320, 1, 1},
	}
	n := 1
	for _, s := range stages {
		for j := range s.blocks {
			stride := s.stride
			if j > 0 {
				stride = 1
			}
			x = b.invertedResidual(fmt.Sprintf("features.%d", n), x, s.expand, b.width(s.out), stride)
			n++
		}
	}
	x = b.convNorm("features.18.conv", "features.18.bn", x, convolution{out: b.width(1280), kernel: 1, stride: 1})
	x = b.relu6("features.18.relu6", x)
	return b.classifier("classifier", b.globalAvgPool("avgpool", x))
}

// invertedResidual expands the channels, filters each channel separately and projects them without
// an activation. If the shapes agree, it adds the input.
func (b *builder) invertedResidual(name string, x value, expand, out, stride int) value {
	y, hidden := x, x.c*expand
	if expand != 1 {
		y = b.convNorm(name+".expand", name+".expand.bn", y, convolution{out: hidden, kernel: 1, stride: 1})
		y = b.relu6(name+".expand.relu6", y)
	}
	y = b.convNorm(name+".depthwise", name+".depthwise.bn", y, convolution{out: hidden, kernel: 3, stride: stride, pad: 1, groups: hidden})
	y = b.relu6(name+".depthwise.relu6", y)
	y = b.convNorm(name+".project", name+".project.bn", y, convolution{out: out, kernel: 1, stride: 1})
	if stride == 1 && x.c == out {
		y = b.addTensors(name+".add", y, x)
	}
	return y
}
