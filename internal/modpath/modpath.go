// Package modpath knows the path of the module that this code was built from.
// Code that writes or reads import paths asks it, so that no path stands in
// more than one place: the module can be renamed (see internal/rename).
package modpath

import (
	"path"
	"reflect"
	"strings"
)

// Module is the path of the module. The toolchain records it in the import path
// of every package; this package lies in folder internal/modpath.
var Module = strings.TrimSuffix(reflect.TypeFor[marker]().PkgPath(), "/internal/modpath")

type marker struct{}

// Package returns the import path of the package in a folder of the module,
// which is relative to the module's root and has forward slashes.
func Package(dir string) string { return path.Join(Module, dir) }
