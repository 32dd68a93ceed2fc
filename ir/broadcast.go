package ir

import "fmt"

// BroadcastShapes returns the shape that a and b broadcast to by numpy's
// rule: aligned at the last axis, extents equal or 1.
func BroadcastShapes(a, b Shape) (Shape, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := make(Shape, len(a))
	copy(out, a)
	for i := range b {
		k := len(a) - len(b) + i
		switch {
		case a[k] == b[i] || b[i] == 1:
		case a[k] == 1:
			out[k] = b[i]
		default:
			return nil, fmt.Errorf("shapes %s and %s do not broadcast: %d against %d", a, b, a[k], b[i])
		}
	}
	return out, nil
}

// PerChannel reports whether a tensor of shape s broadcasts to x [N,C,…] with
// one value per channel, or with one value for all elements.
func PerChannel(s, x Shape) bool {
	if len(s) > len(x) {
		return false
	}
	for i, d := range s {
		if k := len(x) - len(s) + i; d != 1 && !(k == 1 && d == x[1]) {
			return false
		}
	}
	return true
}
