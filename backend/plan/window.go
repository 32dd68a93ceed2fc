package plan

import (
	"fmt"

	"modelc/ir"
)

// Window is the window of a convolution or pool on two axes. An operand with one
// spatial axis counts as an image of height 1.
type Window struct {
	KH, KW          int // extents of the kernel
	SH, SW          int // strides
	DH, DW          int // dilations
	PadTop, PadLeft int // elements before the operand; negative numbers crop
}

// ConvWindow returns the window of a convolution with weights of shape w
// [M,C/groups,K…] of one or two spatial axes.
func ConvWindow(c ir.Conv, w ir.Shape) Window {
	return window(w[2:], c.Strides, c.Dilations, c.Pads)
}

// PoolWindow returns the window of a pool of one or two spatial axes.
func PoolWindow(p ir.Pool) Window { return window(p.Kernel, p.Strides, p.Dilations, p.Pads) }

func window(kernel, strides, dilations, pads []int) Window {
	if len(kernel) == 1 {
		return Window{1, kernel[0], 1, strides[0], 1, dilations[0], 0, pads[0]}
	}
	return Window{kernel[0], kernel[1], strides[0], strides[1], dilations[0], dilations[1], pads[0], pads[1]}
}

// Taps returns the number of elements of the window.
func (w Window) Taps() int { return w.KH * w.KW }

// Crops reports whether the window starts inside the operand.
func (w Window) Crops() bool { return w.PadTop < 0 || w.PadLeft < 0 }

// After returns the number of rows below and of columns right of an operand of
// h×wd elements that the windows of a result of outH×outW elements read. With a
// stride this can be less than the padding.
func (w Window) After(h, wd, outH, outW int) (below, right int) {
	return max(0, (outH-1)*w.SH+(w.KH-1)*w.DH+1-w.PadTop-h), max(0, (outW-1)*w.SW+(w.KW-1)*w.DW+1-w.PadLeft-wd)
}

// Leaves reports whether a window of a convolution or pool reads elements outside
// its operand. in and out are the spatial extents of the operand and the result.
// The other slices have a value for each spatial axis. pads starts with the pads
// before the operand.
func Leaves(in, out, kernel, strides, dilations, pads []int) bool {
	for i, n := range in {
		if pads[i] > 0 || (out[i]-1)*strides[i]+(kernel[i]-1)*dilations[i]+1-pads[i] > n {
			return true
		}
	}
	return false
}

func (w Window) String() string {
	s := Extents(w.KH, w.KW)
	if w.SH != 1 || w.SW != 1 {
		s += fmt.Sprintf("/%d", w.SH)
		if w.SH != w.SW {
			s += fmt.Sprintf("×%d", w.SW)
		}
	}
	if w.DH != 1 || w.DW != 1 {
		s += fmt.Sprintf(" dilated %s", Extents(w.DH, w.DW))
	}
	return s
}
