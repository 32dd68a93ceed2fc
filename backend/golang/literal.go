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
	"modelc/runtime/kernel/plain"
	"modelc/runtime/vision"
)

// printer writes values of the runtime's types as Go literals: fields by
// name, zero fields left out. A new kernel needs nothing here.
type printer struct {
	// name returns the variable that holds a value, "" for none.
	name func(v reflect.Value) string
	// packages are the import paths of the types that were printed, as the
	// compiler spells them.
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

// elements returns the elements of a slice, without the type that stands in
// front of all. Slices among them are broken into lines of the given width.
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
	wideLiteral = 117 // the longest line of one that starts in the first column
	flatKernel  = 72  // the longest kernel on one line
)

// packed returns v on one line of the given width or else with as many fields
// or elements on a line as fit. used is the width of what stands in front of it.
func (p *printer) packed(v reflect.Value, used, width int) string {
	flat := p.literal(v)
	if used+columns(flat) <= width {
		return flat
	}
	switch v.Kind() {
	case reflect.Struct:
		name, parts := p.typeName(v.Type()), p.fields(v)
		if _, ok := asOperand(v); ok { // the Ref, then the layout on lines of its own
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

// pack joins parts with commas in lines. The first line is used already.
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

// kernel returns a kernel with a line for each operand and lines of the given
// width for the rest of its fields.
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
			operands = append(operands, "") // or gofmt aligns the first extent with the operands
		}
		operands = append(operands, pack(extents, 0, width)+",")
	}
	return p.typeName(v.Type()) + "{\n" + strings.Join(operands, "\n") + "\n}"
}

// longestField is the maximum width of a field's name, to which gofmt aligns.
const longestField = 12

func (p *printer) variable(v reflect.Value) string {
	if p.name == nil {
		return ""
	}
	return p.name(v)
}

// constant returns the name of the constant that v equals, "" where values of
// its type have no names. The values of functions coincide with those of ir.
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
	case kernel.PoolKind:
		if x == kernel.PoolMax {
			return "PoolMax"
		}
		return "PoolAvg"
	case vision.Layout, vision.Fit, vision.Filter: // named as their constants
		return identifier(fmt.Sprint(x), "")
	}
	return ""
}

var reductions = map[plain.ReduceFn]string{
	plain.RedMean: "RedMean", plain.RedSum: "RedSum", plain.RedMax: "RedMax", plain.RedMin: "RedMin", plain.RedProd: "RedProd",
	plain.RedL1: "RedL1", plain.RedL2: "RedL2", plain.RedSumSquare: "RedSumSquare",
	plain.RedLogSum: "RedLogSum", plain.RedLogSumExp: "RedLogSumExp",
}

// float prints a number that has no literal of its own too.
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

// runtimePath is the import path of the runtime in the compiler. That of a
// generated package may be another.
var runtimePath = reflect.TypeFor[runtime.Plan]().PkgPath()

// kernelPath is that of the kernels.
var kernelPath = reflect.TypeFor[kernel.Ref]().PkgPath()

// typeName spells a type as the source of another package does.
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

// qualified returns a name of the package at an import path.
func (p *printer) qualified(pkgPath, name string) string {
	p.packages[pkgPath] = true
	return path.Base(pkgPath) + "." + name
}
