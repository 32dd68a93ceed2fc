package plan

import "modelc/ir"

// PadTable returns, for each position of the result along an axis of n elements,
// the position in the operand that it is copied from, or −1 for the constant.
// begin and end are the numbers of elements added on both sides. Negative
// numbers crop. Cropping comes first, so the border repeats elements that
// remain.
func PadTable(mode ir.PadMode, n, begin, end int) []int32 {
	first := max(0, -begin)
	inner := n - first - max(0, -end)
	t := make([]int32, n+begin+end)
	for i := range t {
		k := i - max(0, begin)
		if k < 0 || k >= inner {
			switch mode {
			case ir.PadConstant:
				t[i] = -1
				continue
			case ir.PadEdge:
				k = min(max(k, 0), inner-1)
			case ir.PadReflect:
				k = mirror(k, inner, 2*(inner-1), 0)
			case ir.PadSymmetric:
				k = mirror(k, inner, 2*inner, 1)
			case ir.PadWrap:
				k = floorMod(k, inner)
			}
		}
		t[i] = int32(first + k)
	}
	return t
}

func floorMod(a, n int) int { return (a%n + n) % n }

// mirror folds k back into [0,n) with the given period; edge is 1 when the
// border repeats the edge element.
func mirror(k, n, period, edge int) int {
	if period == 0 {
		return 0
	}
	k = floorMod(k, period)
	if k >= n {
		k = period - edge - k
	}
	return k
}
