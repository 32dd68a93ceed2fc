package golang

import (
	"slices"

	"modelc/ir"
)

// Names of the orders of an image's axes.
const (
	nchw = "NCHW"
	nhwc = "NHWC"
)

// inputAxes returns the order of the axes of an input that a network reads as
// images. It returns "" if the graph does not define the order.
func inputAxes(v *ir.Value) string {
	if len(v.Type.Shape) != 4 {
		return ""
	}
	for _, u := range v.Uses() {
		if u.Node == nil {
			continue
		}
		switch op := u.Node.Op.(type) {
		case ir.Conv, ir.ConvTranspose, ir.Pool, ir.Resize:
			return nchw
		case ir.Transpose:
			if slices.Equal(op.Perm, []int{0, 3, 1, 2}) {
				return nhwc
			}
		case ir.Unary, ir.Affine, ir.Pad:
			if a := inputAxes(u.Node.Out[0]); a != "" {
				return a
			}
		}
	}
	return ""
}

// outputAxes is like inputAxes, for an output.
func outputAxes(v *ir.Value) string {
	if len(v.Type.Shape) != 4 || v.Def() == nil {
		return ""
	}
	switch op := v.Def().Op.(type) {
	case ir.Conv, ir.ConvTranspose, ir.Pool, ir.Resize:
		return nchw
	case ir.Transpose:
		if slices.Equal(op.Perm, []int{0, 2, 3, 1}) {
			return nhwc
		}
	case ir.Unary, ir.Affine:
		return outputAxes(v.Def().In[0])
	}
	return ""
}
