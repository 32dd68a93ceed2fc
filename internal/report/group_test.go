package report

import (
	"fmt"
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	for _, test := range []struct{ names, want string }{
		{"conv1 bn1 relu layer1.0.conv1 layer1.0.bn1 layer1.1.conv1 layer2.0.conv1 layer2.0.bn1 layer2.0.relu fc", "layer1 3-5, layer2 6-8"},
		// Keras' ResNet.
		{"in conv1_pad conv1_conv conv1_bn conv2_block1_1_conv conv2_block1_1_bn conv2_block2_1_conv conv3_block1_1_conv conv3_block1_1_bn conv3_block1_out avg_pool", "conv1 1-3, conv2 4-6, conv3 7-9"},
		// Keras' MobileNet: a number belongs to the word before it.
		{"block_1_expand block_1_bn block_1_relu block_2_expand block_2_bn block_2_relu", "block_1 0-2, block_2 3-5"},
		// PyTorch's exporter: what nearly all names start with tells nothing.
		{"/features/a/conv /features/a/bn /features/a/relu /features/b/conv /features/b/bn /features/b/relu /fc", "features.a 0-2, features.b 3-5"},
		// The names that Keras gives by class are no blocks.
		{"conv2d conv2d_1 conv2d_2 relu relu_1 relu_2 conv2d_3 conv2d_4 conv2d_5 relu_3 relu_4 relu_5", ""},
		{"a b c d", ""},
		{"x.a x.b x.c x.d", ""},
		{"", ""},
	} {
		var got []string
		for _, g := range groupsOf(strings.Fields(test.names)) {
			got = append(got, fmt.Sprintf("%s %d-%d", g.name, g.nodes[0], g.nodes[len(g.nodes)-1]))
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%s: %q, want %q", test.names, s, test.want)
		}
	}
}
