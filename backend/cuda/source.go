package cuda

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"modelc/ir"
)

// cTypes has the C type of each element type. A truth value is a byte, 0 or 1. Front ends
// convert half precision to f32.
var cTypes = map[ir.DType]string{
	ir.Float32: "float", ir.Float64: "double", ir.Bool: "unsigned char",
	ir.Int8: "signed char", ir.Int16: "short", ir.Int32: "int", ir.Int64: "long long",
	ir.Uint8: "unsigned char", ir.Uint16: "unsigned short", ir.Uint32: "unsigned int", ir.Uint64: "unsigned long long",
}

func cType(d ir.DType) string { return cTypes[d] }

// computes returns the type in which functions of elements of the given types are computed:
// float, or double if a type is not f32.
func computes(types ...ir.DType) string {
	for _, d := range types {
		if d != ir.Float32 {
			return "double"
		}
	}
	return "float"
}

// literal returns x as a constant of the C type float or double.
func literal(x float64, typ string) string {
	bits, suffix := 64, ""
	if typ == "float" {
		bits, suffix = 32, "f"
	}
	switch {
	case math.IsNaN(x):
		return typ + "(NAN_DOUBLE)"
	case math.IsInf(x, 1) || bits == 32 && x > math.MaxFloat32:
		return typ + "(INF_DOUBLE)"
	case math.IsInf(x, -1) || bits == 32 && x < -math.MaxFloat32:
		return typ + "(-INF_DOUBLE)"
	}
	s := strconv.FormatFloat(x, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	if s[0] == '-' {
		return "(" + s + suffix + ")"
	}
	return s + suffix
}

// convert returns the expression x, of a floating-point type, as an element of type d.
func convert(d ir.DType, x string) string {
	if d == ir.Bool {
		return "(unsigned char)((" + x + ") != 0)"
	}
	return "(" + cType(d) + ")(" + x + ")"
}

// apply returns the expression of the activation a of x in the C type float or double.
func apply(a ir.Act, x, typ string) string {
	if a.IsIdentity() {
		return x
	}
	return fmt.Sprintf("act_%s<%s>(%s, %s, %s)", strings.ToLower(a.Fn.String()), typ, x, literal(a.Alpha, typ), literal(a.Beta, typ))
}

// writer writes the body of a kernel, indented by the depth of braces.
type writer struct {
	strings.Builder
	depth int
}

func (w *writer) line(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if strings.HasPrefix(s, "}") {
		w.depth--
	}
	w.WriteString(strings.Repeat("    ", 1+w.depth) + s + "\n")
	if strings.HasSuffix(s, "{") {
		w.depth++
	}
}

// close closes n braces.
func (w *writer) close(n int) {
	for range n {
		w.line("}")
	}
}

// sum returns the expression Σ at·strides + offset; coordinates "0" and strides 0 fall away.
func sum(at []string, strides []int, offset int) string {
	var terms []string
	for i, a := range at {
		switch {
		case a == "0" || strides[i] == 0:
		case strides[i] == 1:
			terms = append(terms, a)
		default:
			terms = append(terms, fmt.Sprintf("%s * %d", a, strides[i]))
		}
	}
	if offset != 0 || len(terms) == 0 {
		terms = append(terms, fmt.Sprint(offset))
	}
	return strings.Join(terms, " + ")
}

// elem returns the expression of the element of the parameter called name at coordinates
// of p.
func (p *place) elem(name string, at []string) string {
	return name + "[" + sum(at, p.strides, 0) + "]"
}

// channel returns the expression of the element of channel c of an operand [C] or of one
// element, "" if it is absent.
func (p *place) channel(name, c string) string {
	switch {
	case p == nil:
		return ""
	case len(p.Shape) == 0:
		return name + "[0]"
	}
	return p.elem(name, []string{c})
}

// scaled returns the expression x·scale+shift; scale and shift may be "".
func scaled(x, scale, shift string) string {
	if scale != "" {
		x += " * " + scale
	}
	if shift != "" {
		x += " + " + shift
	}
	return x
}

// threads is the size of a block of a generic kernel.
const threads = 256

// grid returns the launch of a generic kernel with n threads.
func grid(n int) (g, b [3]int) {
	return [3]int{(n + threads - 1) / threads, 1, 1}, [3]int{threads, 1, 1}
}

// each opens a generic kernel: thread i computes one point of shape. It returns the names of
// the point's coordinates. Neighbouring threads are neighbours along the axis of the
// smallest stride.
func (w *writer) each(shape ir.Shape, strides []int) []string {
	w.line("const int i = blockIdx.x * %d + threadIdx.x;", threads)
	w.line("if (i >= %d) return;", shape.Len())
	at := make([]string, len(shape))
	var order []int
	for k, d := range shape {
		at[k] = "0"
		if d > 1 {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(strides[b], strides[a]) })
	div := 1
	for k := len(order) - 1; k >= 0; k-- {
		axis := order[k]
		at[axis] = fmt.Sprint("i", axis)
		e := "i"
		if div > 1 {
			e += fmt.Sprintf(" / %d", div)
		}
		if k > 0 {
			e += fmt.Sprintf(" %% %d", shape[axis])
		}
		w.line("const int %s = %s;", at[axis], e)
		div *= shape[axis]
	}
	return at
}
