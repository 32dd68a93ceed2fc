package golang

import (
	"fmt"
	"path"
	"reflect"
	"strconv"
	"strings"

	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/integer"
	"modelc/runtime/kernel/plain"
	"modelc/runtime/kernel/recurrent"
	"modelc/runtime/vision"
)

// printer prints values of the runtime's types as Go literals, with the names of
// fields and without zero fields. It prints any kernel by reflection.
type printer struct {
	// name returns the variable that holds a value, or "" if there is none.
	name func(v reflect.Value) string
	// packages are the import paths of the types that were printed, as in the
	// compiler.
	packages map[string]bool
}

func newPrinter(name func(v reflect.Value) string) *printer {
	return &printer{name: name, packages: map[string]bool{}}
}

// literal returns v on one line.
func (p *printer) literal(v reflect.Value) string {
	if n := p.variable(v); n != "" {
		return n
	}
	switch v.Kind() {
	case reflect.Struct:
		return p.typeName(v.Type()) + "{" + strings.Join(p.fields(v), ", ") + "}"
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			return "nil"
		}
		return p.typeName(v.Type()) + "{" + strings.Join(p.elements(v, 1<<20), ", ") + "}"
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.String:
		return strconv.Quote(clip(v.String()))
	case reflect.Float32, reflect.Float64:
		return p.float(v)
	}
	if s := constant(v); s != "" {
		return p.qualified(v.Type().PkgPath(), s)
	}
	if v.CanInt() {
		return strconv.FormatInt(v.Int(), 10)
	}
	return strconv.FormatUint(v.Uint(), 10)
}

// elements returns the literals of the elements of a slice or array, without the
// types of composite ones. Nested slices are broken into lines of the given width.
func (p *printer) elements(v reflect.Value, width int) []string {
	parts := make([]string, v.Len())
	for i := range parts {
		e := v.Index(i)
		switch {
		case p.variable(e) != "":
			parts[i] = p.variable(e)
		case e.Kind() == reflect.Struct:
			parts[i] = "{" + strings.Join(p.fields(e), ", ") + "}"
		case e.Kind() == reflect.Slice && !e.IsNil():
			parts[i] = "{" + pack(p.elements(e, width-tabColumns), 1, width-tabColumns) + "}"
		default:
			parts[i] = p.literal(e)
		}
	}
	return parts
}

// fields returns the fields of a struct that are not zero.
func (p *printer) fields(v reflect.Value) []string {
	var parts []string
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			parts = append(parts, v.Type().Field(i).Name+": "+p.literal(f))
		}
	}
	return parts
}

// The widths of literals, without indentation.
const (
	wideLiteral = 117 // maximum length of a line of a literal that starts in the first column
	flatKernel  = 72  // maximum length of a kernel on one line
)

// packed returns the literal of v, on one line if it fits the given width.
// Otherwise each line has the maximum number of fields or elements that fits. used
// is the width of the text before the literal.
func (p *printer) packed(v reflect.Value, used, width int) string {
	flat := p.literal(v)
	if used+columns(flat) <= width {
		return flat
	}
	switch v.Kind() {
	case reflect.Struct:
		name, parts := p.typeName(v.Type()), p.fields(v)
		if _, ok := asOperand(v); ok { // the layout follows the Ref on separate lines
			return name + "{" + parts[0] + ",\n" + pack(parts[1:], 0, width-tabColumns) + "}"
		}
		return name + "{" + pack(parts, used+columns(name)+1, width-tabColumns) + "}"
	case reflect.Slice, reflect.Array:
		name := p.typeName(v.Type())
		return name + "{" + pack(p.elements(v, width-tabColumns), used+columns(name)+1, width-tabColumns) + "}"
	case reflect.String:
		return quote(v.String(), width-used)
	}
	return flat
}

// pack joins parts with commas and breaks them into lines of the given width. used
// is the used width of the first line.
func pack(parts []string, used, width int) string {
	var b strings.Builder
	for i, part := range parts {
		long := strings.Contains(part, "\n")
		switch {
		case i == 0 && used+columns(part) < width && !long:
			used += columns(part)
		case i > 0 && used+2+columns(part) < width && !long:
			b.WriteString(", ")
			used += 2 + columns(part)
		default:
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n")
			if used = columns(part); long {
				used = width
			}
		}
		b.WriteString(part)
	}
	return b.String()
}

// kernel returns the literal of a kernel. A long literal has a line for each
// operand, and lines of the given width for the other fields.
func (p *printer) kernel(v reflect.Value, width int) string {
	if flat := p.literal(v); columns(flat) <= flatKernel {
		return flat
	}
	width -= tabColumns
	var operands, extents []string
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.IsZero() {
			continue
		}
		literal := p.literal(f)
		switch part := name + ": "; {
		case f.Kind() == reflect.Struct && columns(literal) > flatKernel:
			operands = append(operands, part+p.kernel(f, width)+",")
		case f.Kind() == reflect.Slice && columns(literal) > flatKernel:
			operands = append(operands, part+p.packed(f, longestField, width)+",")
		case f.Kind() == reflect.Struct, f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			operands = append(operands, part+literal+",")
		default:
			extents = append(extents, part+literal)
		}
	}
	if len(extents) > 0 {
		if len(operands) > 0 {
			operands = append(operands, "") // keeps gofmt from aligning the first extent with the operands
		}
		operands = append(operands, pack(extents, 0, width)+",")
	}
	return p.typeName(v.Type()) + "{\n" + strings.Join(operands, "\n") + "\n}"
}

// longestField is the maximum width of a field's name.
const longestField = 12

func (p *printer) variable(v reflect.Value) string {
	if p.name == nil {
		return ""
	}
	return p.name(v)
}

// constant returns the name of the constant with the value v. It returns "" if the
// type of v has no constants. Functions have the same numbers in ir.
func constant(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case kernel.Space:
		switch x {
		case kernel.Arena:
			return "Arena"
		case kernel.Weights:
			return "Weights"
		case kernel.Prepared:
			return "Prepared"
		case kernel.IO:
			return "IO"
		}
		return fmt.Sprintf("IO + %d", x-kernel.IO)
	case kernel.Fn:
		return "Act" + ir.Fn(x).String()
	case kernel.BinaryFn:
		return "Bin" + ir.BinaryFn(x).String()
	case plain.ReduceFn:
		return reductions[x]
	case kernel.Format:
		return strings.ToUpper(x.String())
	case kernel.Elem:
		return elems[x]
	case integer.Output:
		return outputs[x]
	case recurrent.Cell:
		return cells[x]
	case kernel.PoolKind:
		if x == kernel.PoolMax {
			return "PoolMax"
		}
		return "PoolAvg"
	case vision.Layout, vision.Fit, vision.Filter: // String returns the names of their constants
		return identifier(fmt.Sprint(x), "")
	}
	return ""
}

var elems = map[kernel.Elem]string{kernel.Float32: "Float32", kernel.BFloat16: "BFloat16", kernel.Int8: "Int8", kernel.Uint8: "Uint8"}

var outputs = map[integer.Output]string{integer.Bytes: "Bytes", integer.SignedBytes: "SignedBytes", integer.Floats: "Floats", integer.Integers: "Integers"}

var cells = map[recurrent.Cell]string{recurrent.RNN: "RNN", recurrent.GRU: "GRU", recurrent.LSTM: "LSTM"}

var reductions = map[plain.ReduceFn]string{
	plain.RedMean: "RedMean", plain.RedSum: "RedSum", plain.RedMax: "RedMax", plain.RedMin: "RedMin", plain.RedProd: "RedProd",
	plain.RedL1: "RedL1", plain.RedL2: "RedL2", plain.RedSumSquare: "RedSumSquare",
	plain.RedLogSum: "RedLogSum", plain.RedLogSumExp: "RedLogSumExp",
}

// float returns the literal of a number, or the runtime's name for an infinity or
// NaN.
func (p *printer) float(v reflect.Value) string {
	bits := 64
	if v.Kind() == reflect.Float32 {
		bits = 32
	}
	s := strconv.FormatFloat(v.Float(), 'g', -1, bits)
	switch s {
	case "+Inf":
		return p.qualified(kernelPath, fmt.Sprintf("Inf%d", bits))
	case "-Inf":
		return "-" + p.qualified(kernelPath, fmt.Sprintf("Inf%d", bits))
	case "NaN":
		return p.qualified(kernelPath, fmt.Sprintf("NaN%d", bits))
	}
	return s
}

// runtimePath is the import path of the runtime in the compiler. A generated
// package may import the runtime from another path.
var runtimePath = reflect.TypeFor[runtime.Plan]().PkgPath()

// kernelPath is the import path of package kernel in the compiler.
var kernelPath = reflect.TypeFor[kernel.Ref]().PkgPath()

// typeName returns a type as the source of another package writes it.
func (p *printer) typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "[]" + p.typeName(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), p.typeName(t.Elem()))
	case reflect.Struct:
		// A generic type's name carries its arguments: StridedCopy[uint32].
		return p.qualified(t.PkgPath(), t.Name())
	}
	return t.String()
}

// qualified returns a name, qualified with the package at an import path.
func (p *printer) qualified(pkgPath, name string) string {
	p.packages[pkgPath] = true
	return path.Base(pkgPath) + "." + name
}
