// Package npy reads and writes tensors in NumPy's .npy format (versions 1.0 to
// 3.0, C order, little-endian).
package npy

import (
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"modelc/internal/files"
	"modelc/ir"
)

// maxFile is the maximum size of a file to read, in bytes.
const maxFile = 1 << 30

const magic = "\x93NUMPY"

var descrs = map[string]ir.DType{"f4": ir.Float32, "f8": ir.Float64, "f2": ir.Float16, "i1": ir.Int8, "i2": ir.Int16, "i4": ir.Int32,
	"i8": ir.Int64, "u1": ir.Uint8, "u2": ir.Uint16, "u4": ir.Uint32, "u8": ir.Uint64, "b1": ir.Bool}

var (
	descrField = regexp.MustCompile(`'descr'\s*:\s*'([<>|=]?)(\w+)'`)
	orderField = regexp.MustCompile(`'fortran_order'\s*:\s*(True|False)`)
	shapeField = regexp.MustCompile(`'shape'\s*:\s*\(([^)]*)\)`)
)

// Read reads the tensor in the file at path.
func Read(path string) (*ir.Tensor, error) {
	b, err := files.Read(path, maxFile)
	if err != nil {
		return nil, err
	}
	t, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Parse decodes the contents of a file. The tensor shares memory with b.
func Parse(b []byte) (*ir.Tensor, error) {
	if len(b) < 10 || string(b[:6]) != magic {
		return nil, fmt.Errorf("not an .npy file")
	}
	start, n := 10, int(binary.LittleEndian.Uint16(b[8:]))
	if b[6] >= 2 {
		if len(b) < 12 {
			return nil, fmt.Errorf("truncated header")
		}
		start, n = 12, int(binary.LittleEndian.Uint32(b[8:]))
	}
	if n > len(b)-start {
		return nil, fmt.Errorf("truncated header")
	}
	head := string(b[start : start+n])
	descr, order, shape := descrField.FindStringSubmatch(head), orderField.FindStringSubmatch(head), shapeField.FindStringSubmatch(head)
	if descr == nil || order == nil || shape == nil {
		return nil, fmt.Errorf("invalid header %q", head)
	}
	d, ok := descrs[descr[2]]
	if !ok || descr[1] == ">" {
		return nil, fmt.Errorf("elements of type %q are not supported", descr[1]+descr[2])
	}
	if order[1] == "True" {
		return nil, fmt.Errorf("the elements are in Fortran order; save the result of numpy.ascontiguousarray")
	}
	t := ir.Type{DType: d, Shape: ir.Shape{}}
	total := 1
	for _, f := range strings.Split(shape[1], ",") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		k, err := strconv.Atoi(f)
		if err != nil || k < 0 || k > 0 && total > len(b)/k+1 {
			return nil, fmt.Errorf("invalid shape (%s)", shape[1])
		}
		total *= k
		t.Shape = append(t.Shape, k)
	}
	data := b[start+n:]
	if d == ir.Bool {
		for _, c := range data {
			if c > 1 {
				return nil, fmt.Errorf("an element is %d, which is no truth value", c)
			}
		}
	}
	return ir.FromBytes(t, data)
}

// Write writes t to the file at path.
func Write(path string, t *ir.Tensor) error {
	descr := ""
	for k, d := range descrs {
		if d == t.DType {
			descr = "<" + k
		}
	}
	if descr == "" {
		return fmt.Errorf("%s: NumPy has no element type %s", path, t.DType)
	}
	if t.DType.Size() == 1 {
		descr = "|" + descr[1:]
	}
	var dims strings.Builder
	for _, d := range t.Shape {
		fmt.Fprintf(&dims, "%d, ", d)
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.TrimSuffix(dims.String(), " "))
	// The elements start at a multiple of 64 bytes.
	pad := 63 - (10+len(head))%64
	head += strings.Repeat(" ", pad) + "\n"
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	b = append(b, head...)
	return files.Write(path, func(f *os.File) error {
		_, err := f.Write(append(b, t.Bytes()...))
		return err
	})
}
