package hdf5

import (
	"fmt"
	"math"
)

// Class is the kind of a datatype.
type Class uint8

// The supported classes.
const (
	Int    Class = iota // two's complement
	Uint                // unsigned
	Float               // IEEE 754 binary16, 32 and 64
	BFloat              // bfloat16
	String              // fixed length
	Opaque              // uninterpreted bytes
	VarString
)

// Type is the datatype of an element.
type Type struct {
	Class Class
	Size  int // size of an element in the file, in bytes
}

// String returns the NumPy name of the type: float32, uint8, opaque2, …
func (t Type) String() string {
	switch t.Class {
	case Int:
		return fmt.Sprintf("int%d", 8*t.Size)
	case Uint:
		return fmt.Sprintf("uint%d", 8*t.Size)
	case Float:
		return fmt.Sprintf("float%d", 8*t.Size)
	case BFloat:
		return "bfloat16"
	case String:
		return fmt.Sprintf("string of %d bytes", t.Size)
	case Opaque:
		return fmt.Sprintf("opaque%d", t.Size)
	}
	return "string"
}

// classNames lists the class names of the format (IV.A.2.d).
var classNames = []string{"integer", "floating-point", "time", "string", "bit field", "opaque", "compound", "reference", "enumeration", "variable-length", "array"}

// parseType decodes a datatype message. big reports whether the numbers in the file are
// big-endian.
func (o *object) parseType(b []byte) (t Type, big bool, err error) {
	c := cursor{b: b}
	class, bits := c.u8(), uint32(c.u16())|uint32(c.u8())<<16
	version := class >> 4
	class &= 15
	size := c.u32()
	if err := c.err("datatype"); err != nil {
		return Type{}, false, o.errorf("%w", err)
	}
	if version < 1 || version > 3 {
		return Type{}, false, o.unsupported(fmt.Sprintf("datatype version %d", version))
	}
	if size == 0 || size > 1<<20 {
		return Type{}, false, o.unsupported(fmt.Sprintf("a datatype of %d bytes", size))
	}
	t.Size = int(size)
	name := fmt.Sprintf("datatype class %d", class)
	if class < len(classNames) {
		name = "datatype class " + classNames[class]
	}
	switch class {
	case 0:
		offset, precision := c.u16(), c.u16()
		big = bits&1 != 0
		if offset != 0 || precision != 8*t.Size || t.Size > 8 || t.Size&(t.Size-1) != 0 {
			return t, false, o.unsupported(fmt.Sprintf("an integer with %d bits in %d bytes", precision, size))
		}
		t.Class = Uint
		if bits&8 != 0 {
			t.Class = Int
		}
	case 1:
		if bits&0x40 != 0 {
			return t, false, o.unsupported("a number in the byte order of VAX")
		}
		big = bits&1 != 0
		offset, precision := c.u16(), c.u16()
		expAt, expSize, manAt, manSize := c.u8(), c.u8(), c.u8(), c.u8()
		bias := c.u32()
		layout := [...]int{t.Size, expAt, expSize, manAt, manSize, int(bias)}
		switch {
		case offset != 0 || precision != 8*t.Size:
			return t, false, o.unsupported(fmt.Sprintf("a floating-point number with %d bits in %d bytes", precision, size))
		case layout == [...]int{2, 10, 5, 0, 10, 15} || layout == [...]int{4, 23, 8, 0, 23, 127} || layout == [...]int{8, 52, 11, 0, 52, 1023}:
			t.Class = Float
		case layout == [...]int{2, 7, 8, 0, 7, 127}:
			t.Class = BFloat
		default:
			return t, false, o.unsupported(fmt.Sprintf("a floating-point number with %d bits of exponent and %d of mantissa", expSize, manSize))
		}
	case 3:
		t.Class = String
	case 5:
		t.Class = Opaque
	case 9:
		if bits&15 != 1 {
			return t, false, o.unsupported("a sequence of variable length")
		}
		if t.Size != 16 {
			return t, false, o.errorf("a variable-length string of %d bytes", t.Size)
		}
		t.Class = VarString
	default:
		return t, false, o.unsupported(name)
	}
	if err := c.err("datatype"); err != nil {
		return t, false, o.errorf("%w", err)
	}
	return t, big, nil
}

// parseSpace decodes a dataspace message (IV.A.2.b). It returns the extents and
// the number of elements. A scalar has no extents; a null dataspace has the
// extent 0.
func (o *object) parseSpace(b []byte) ([]int, uint64, error) {
	c := cursor{b: b}
	version, rank, flags := c.u8(), c.u8(), c.u8()
	null := false
	switch version {
	case 1:
		c.skip(5)
	case 2:
		null = c.u8() == 2
	default:
		return nil, 0, o.unsupported(fmt.Sprintf("dataspace version %d", version))
	}
	if flags&2 != 0 {
		return nil, 0, o.unsupported("a dataspace with permuted axes")
	}
	if null {
		return []int{0}, 0, nil
	}
	shape := make([]int, rank)
	count := uint64(1)
	for i := range shape {
		n := c.u64()
		// No file has 2^40 elements along an axis. With at most 2^40 elements in
		// total, the products below do not overflow.
		const most = min(1<<40, math.MaxInt)
		if n > most || n > 0 && count > most/n {
			return nil, 0, o.errorf("the extents %v, %d are out of bounds", shape[:i], n)
		}
		shape[i] = int(n)
		count *= n
	}
	if err := c.err("dataspace"); err != nil {
		return nil, 0, o.errorf("%w", err)
	}
	return shape, count, nil
}
