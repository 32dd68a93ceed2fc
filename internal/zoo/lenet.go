package zoo

// lenetStyle holds the properties in which the variants of LeNet-5 differ: the activation and the
// pooling.
type lenetStyle struct {
	activate func(b *builder, name string, x value) value
	pool     func(b *builder, name string, x value) value
}

var (
	original = lenetStyle{
		(*builder).tanh,
		func(b *builder, name string, x value) value { return b.avgPool(name, x, 2, 2) },
	}
	modern = lenetStyle{
		(*builder).relu,
		func(b *builder, name string, x value) value { return b.maxPool(name, x, 2, 2, 0) },
	}
)

// lenet5 builds the network of LeCun et al. 1998 with full connections between its pooled maps and
// the second convolution, and without trained pooling coefficients: 61 706 parameters.
func lenet5(style lenetStyle) func(*builder, value) value {
	return func(b *builder, x value) value {
		x = b.conv("conv1", x, convolution{out: b.width(6), kernel: 5, stride: 1, pad: 2, bias: true})
		x = style.pool(b, "pool1", style.activate(b, "act1", x))
		x = b.conv("conv2", x, convolution{out: b.width(16), kernel: 5, stride: 1, bias: true})
		x = style.pool(b, "pool2", style.activate(b, "act2", x))
		x = b.flatten("flatten", x)
		x = style.activate(b, "act3", b.dense("fc1", x, b.width(120)))
		x = style.activate(b, "act4", b.dense("fc2", x, b.width(84)))
		return b.classifier("fc3", x)
	}
}
