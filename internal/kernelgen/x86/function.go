package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"

	"modelc/internal/kernelgen/abi"
)

// Function starts the kernel of the table with the given name, for the instruction set.
func (s ISA) Function(name string, attributes attr.Attribute) {
	k := abi.Lookup(name, s.Name)
	build.TEXT(name+s.Name, attributes, fmt.Sprintf("func(%s)", k.Args))
	build.Doc(name + s.Name + " " + k.Doc)
	build.Pragma("noescape")
}
