package hdf5

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Attribute is a small value attached to a group or a dataset.
type Attribute struct {
	o     *object
	Name  string
	Type  Type
	Shape []int // empty for a scalar
	data  []byte
}

// Attr returns the attribute with the given name, or nil if there is none. It
// does not decode other attributes, whose types may be unsupported.
func (o *object) Attr(name string) (*Attribute, error) {
	for _, b := range o.attrs {
		c := cursor{b: b}
		version, flags := c.u8(), c.u8()
		nameSize, typeSize, spaceSize := c.u16(), c.u16(), c.u16()
		pad := func(n int) int { return n }
		switch version {
		case 1:
			pad = func(n int) int { return (n + 7) &^ 7 }
		case 2:
		case 3:
			c.skip(1) // the name's character set
		default:
			return nil, o.unsupported(fmt.Sprintf("attribute version %d", version))
		}
		field := func(n int) []byte { return c.bytes(pad(n)) }
		n := field(nameSize)
		if end := bytes.IndexByte(n, 0); end >= 0 {
			n = n[:end]
		}
		if string(n) != name {
			if err := c.err("attribute"); err != nil {
				return nil, o.errorf("%w", err)
			}
			continue
		}
		if version > 1 && flags != 0 {
			return nil, o.unsupported(fmt.Sprintf("attribute %q with a shared datatype", name))
		}
		a := &Attribute{o: o, Name: name}
		var err error
		if a.Type, _, err = o.parseType(field(typeSize)); err != nil {
			return nil, fmt.Errorf("%w (attribute %q)", err, name)
		}
		var count uint64
		if a.Shape, count, err = o.parseSpace(field(spaceSize)); err != nil {
			return nil, fmt.Errorf("%w (attribute %q)", err, name)
		}
		size := count * uint64(a.Type.Size)
		if size > uint64(len(c.b)) {
			return nil, o.errorf("attribute %q: %d bytes of data, %d are needed", name, len(c.b), size)
		}
		a.data = c.bytes(int(size))
		return a, c.err("attribute")
	}
	return nil, nil
}

// Strings returns the elements of an attribute of strings of fixed or variable
// length. It returns no elements for an empty attribute of any type, because
// h5py writes an empty list in this way.
func (a *Attribute) Strings() ([]string, error) {
	if len(a.data) == 0 {
		return nil, nil
	}
	var out []string
	total := 0
	for at := 0; at < len(a.data); at += a.Type.Size {
		e := a.data[at : at+a.Type.Size]
		var s string
		switch a.Type.Class {
		case String:
			if end := bytes.IndexByte(e, 0); end >= 0 {
				e = e[:end]
			}
			s = string(e)
		case VarString:
			b, err := a.o.f.heapObject(binary.LittleEndian.Uint64(e[4:]), binary.LittleEndian.Uint32(e[12:]), binary.LittleEndian.Uint32(e))
			if err != nil {
				return nil, a.o.errorf("attribute %q: %w", a.Name, err)
			}
			// Several elements may refer to the same heap object.
			if total += len(b); int64(total) > a.o.f.size {
				return nil, a.o.errorf("attribute %q: its strings are longer than the file", a.Name)
			}
			s = string(b)
		default:
			return nil, a.o.errorf("attribute %q is a %s, not a string", a.Name, a.Type)
		}
		out = append(out, s)
	}
	return out, nil
}

// Str returns the string of an attribute with one element.
func (a *Attribute) Str() (string, error) {
	s, err := a.Strings()
	if err != nil {
		return "", err
	}
	if len(s) != 1 {
		return "", a.o.errorf("attribute %q has %d strings, not one", a.Name, len(s))
	}
	return s[0], nil
}
