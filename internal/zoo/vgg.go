package zoo

import "fmt"

// vgg builds the network of Simonyan and Zisserman 2014 with the given number of 3x3 convolutions
// in each of its five stages.
func vgg(stages ...int) func(*builder, value) value {
	return func(b *builder, x value) value {
		channels := []int{64, 128, 256, 512, 512}
		for i, convs := range stages {
			for j := range convs {
				name := fmt.Sprintf("conv%d_%d", i+1, j+1)
				x = b.conv(name, x, convolution{out: b.width(channels[i]), kernel: 3, stride: 1, pad: 1, bias: true})
				x = b.relu(name+".relu", x)
			}
			x = b.maxPool(fmt.Sprintf("pool%d", i+1), x, 2, 2, 0)
		}
		x = b.flatten("flatten", x)
		for _, name := range []string{"fc6", "fc7"} {
			x = b.relu(name+".relu", b.dense(name, x, b.width(4096)))
		}
		return b.classifier("fc8", x)
	}
}
