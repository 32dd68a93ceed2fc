package hdf5

import "fmt"

// messageType is the type of a message in an object header (IV.A.2).
type messageType int

const (
	msgDataspace    messageType = 0x01
	msgLinkInfo     messageType = 0x02
	msgDatatype     messageType = 0x03
	msgLink         messageType = 0x06
	msgExternal     messageType = 0x07
	msgLayout       messageType = 0x08
	msgFilters      messageType = 0x0b
	msgAttribute    messageType = 0x0c
	msgContinuation messageType = 0x10
	msgSymbolTable  messageType = 0x11
	msgAttrInfo     messageType = 0x15
)

// refused lists the messages of unsupported features.
var refused = map[messageType]string{
	msgLinkInfo: "a group of the new style (link info message)",
	msgLink:     "a group of the new style (link message)",
	msgExternal: "external data storage",
	msgAttrInfo: "dense attribute storage",
}

// object is a decoded object header.
type object struct {
	f     *File
	path  string
	msgs  map[messageType][]byte // one message of each type
	attrs [][]byte               // attribute messages
}

// object reads the object header at address at (IV.A.1.a): messages in a block
// and its continuation blocks.
func (f *File) object(path string, at uint64) (*object, error) {
	o := &object{f: f, path: path, msgs: map[messageType][]byte{}}
	prefix, err := f.read(at, 16)
	if err != nil {
		return nil, o.errorf("object header: %w", err)
	}
	if string(prefix[:4]) == "OHDR" {
		return nil, o.unsupported("object header version 2")
	}
	c := cursor{b: prefix}
	version := c.u8()
	c.skip(1)
	count := c.u16()
	c.skip(4)
	size := c.u32()
	if version != 1 {
		return nil, o.errorf("no object header at address %d", at)
	}
	type block struct{ at, n uint64 }
	// The size does not include the prefix, which is padded to 16 bytes.
	todo := []block{{at + 16, uint64(size)}}
	seen := map[uint64]bool{}
	total := uint64(0)
	for len(todo) > 0 && count > 0 {
		b := todo[0]
		todo = todo[1:]
		if seen[b.at] {
			return nil, o.errorf("the object header continues in a circle")
		}
		seen[b.at] = true
		data, err := f.read(b.at, b.n)
		if err != nil {
			return nil, o.errorf("object header: %w", err)
		}
		if total += b.n; total > uint64(f.size) {
			return nil, o.errorf("the blocks of the object header overlap")
		}
		// A block may end in a gap that is too small for a message.
		for c := (cursor{b: data}); len(c.b) >= 8 && count > 0; count-- {
			typ, n, flags := messageType(c.u16()), c.u16(), c.u8()
			c.skip(3)
			body := c.bytes(n)
			if err := c.err("object header"); err != nil {
				return nil, o.errorf("%w", err)
			}
			if typ == msgContinuation {
				k := cursor{b: body}
				next := block{k.u64(), k.u64()}
				if err := k.err("continuation message"); err != nil {
					return nil, o.errorf("%w", err)
				}
				todo = append(todo, next)
				continue
			}
			if err := o.add(typ, flags, body); err != nil {
				return nil, err
			}
		}
	}
	if count > 0 {
		return nil, o.errorf("%d messages of the object header are missing", count)
	}
	return o, nil
}

func (o *object) add(typ messageType, flags int, body []byte) error {
	const shared, failIfUnknown = 2, 8
	switch typ {
	case msgAttribute:
		if flags&shared != 0 {
			return o.unsupported("a shared attribute")
		}
		o.attrs = append(o.attrs, body)
	case msgDataspace, msgDatatype, msgLayout, msgFilters, msgSymbolTable:
		if flags&shared != 0 {
			return o.unsupported("a shared message (committed datatype)")
		}
		if _, twice := o.msgs[typ]; twice {
			return o.errorf("the object header has message %#x twice", int(typ))
		}
		o.msgs[typ] = body
	default:
		if what, ok := refused[typ]; ok {
			return o.unsupported(what)
		}
		if flags&failIfUnknown != 0 && typ > 0x17 {
			return o.unsupported(fmt.Sprintf("message type %#x", int(typ)))
		}
	}
	return nil
}

func (o *object) unsupported(feature string) error { return &Unsupported{o.path, feature} }

func (o *object) errorf(format string, args ...any) error {
	return fmt.Errorf("hdf5: %s: "+format, append([]any{o.path}, args...)...)
}
