// Package modpath provides the path of the module that this code was built from. Code that
// reads or writes import paths uses it, so that internal/rename can rename the module.
package modpath

import (
	"path"
	"reflect"
	"strings"
)

// Module is the path of the module. The import path of this package, which lies in the folder
// internal/modpath, starts with it.
var Module = strings.TrimSuffix(reflect.TypeFor[marker]().PkgPath(), "/internal/modpath")

type marker struct{}

// Package returns the import path of the package in a folder of the module. dir is relative to
// the root of the module and has forward slashes.
func Package(dir string) string { return path.Join(Module, dir) }
