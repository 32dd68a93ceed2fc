package onnx

import (
	"math"

	"modelc/ir"
)

var selectionOps = []operator{
	{name: "TopK", operands: 1, most: []most{{10, 2}}, becomes: "TopK", limits: "k is constant", build: topK},
	{name: "NonMaxSuppression", since: 10, operands: 2, most: []most{{10, 5}}, becomes: "NonMaxSuppression", limits: "bounds are constant; the result has the maximum number of rows and an output NAME.count", build: nonMaxSuppression},
}

// topK imports TopK. Before opset 10, k is an attribute.
func topK(n *node) []*ir.Value {
	x := n.in[0]
	k := n.int("k", -1)
	if n.attr("k") == nil {
		k = n.legal("k", n.integer(1, "k", -1))
	}
	return n.one(ir.TopK{Axis: n.axis(n.int("axis", -1), x.Type.Rank()), K: k, Smallest: !n.flag("largest", true)}, x)
}

// nonMaxSuppression imports NonMaxSuppression. Without a maximum number of boxes it
// selects none.
func nonMaxSuppression(n *node) []*ir.Value {
	op := ir.NonMaxSuppression{
		Overlap: n.scalar(3, "iou_threshold", 0),
		Score:   n.scalar(4, "score_threshold", math.Inf(-1)),
		Center:  n.flag("center_point_box", false),
	}
	// Exporters write the largest integer for all boxes.
	const most = "max_output_boxes_per_class"
	op.PerClass = n.legal(most, min(n.integer(2, most, 0), ir.MaxExtent))
	m := n.append(op, n.in[0], n.in[1])
	n.im.padded = append(n.im.padded, m)
	return m.Out[:1]
}
