package golang

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"modelc/internal/modpath"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// Files of a copied runtime.
const (
	licenseFile   = "LICENSE"    // copies must include the licence
	runtimeDoc    = "doc.go"     // in a complete copy
	runtimeEntry  = "plan.go"    // in a complete copy
	runtimeMerged = "runtime.go" // in a reduced copy
)

// runtimeFolders lists the folders of the runtime.
var runtimeFolders = []string{".", "internal", "internal/mem", "internal/simd", "internal/team", "kernel", "kernel/bfloat", "kernel/integer", "kernel/plain", "kernel/recurrent", "vision"}

// cutsOf returns the micro-kernels that the plans do not use completely.
func cutsOf(plans []*runtime.Plan) cuts {
	used := map[string]map[int]bool{}
	for _, name := range kernel.Governed {
		used[name] = map[int]bool{}
	}
	for _, p := range plans {
		for _, s := range slices.Concat(p.Load, p.Steps) {
			kernel.Uses(s.Kernel, p.Double, func(micro string, pixels int) { used[micro][pixels] = true })
		}
	}
	c := cuts{}
	for name, pixels := range used {
		if !pixels[kernel.AnyPixels] {
			c[name] = slices.Sorted(maps.Keys(pixels))
		}
	}
	return c
}

// adviceFile requests huge pages from Linux for large regions of memory, and
// releases the memory of stored weights that were transformed.
const adviceFile = "internal/mem/mem_linux.go"

// small reports whether the plans do not need adviceFile: no region of memory is
// large, and no weights are transformed.
func small(plans []*runtime.Plan) bool {
	const large = 1 << 20 // bytes; huge pages are used only for larger regions
	for _, p := range plans {
		if len(p.Load) > 0 || max(p.ArenaBytes, p.WeightsBytes) > large ||
			slices.ContainsFunc(p.Steps, func(s runtime.Step) bool { return s.Kernel.ScratchBytes() > large }) {
			return false
		}
	}
	return true
}

// copyRuntime returns the parts of the runtime that the files of a package and its
// plans use, as files by their path below RuntimeDir. source holds the files of
// package runtime and of the packages below it. imports is the import path of the
// copy.
func copyRuntime(source, users Files, plans []*runtime.Plan, imports, version string) (Files, error) {
	packages, err := parseRuntime(source, cutsOf(plans), small(plans))
	if err != nil {
		return nil, err
	}
	out, err := reduce(packages, users, imports)
	if err != nil {
		return nil, err
	}
	for name, b := range out {
		out[name] = append(head(version, "reduced to what the package above it uses"), b...)
	}
	if b, ok := source[licenseFile]; ok {
		out[licenseFile] = b
	}
	return out, nil
}

// parseRuntime reads the packages of the runtime. It leaves out the micro-kernels
// in cut and, if small is set, adviceFile. It returns the packages by their import
// path after runtimeModule.
func parseRuntime(source Files, cut cuts, small bool) (map[string]*parsed, error) {
	packages := map[string]*parsed{}
	for _, dir := range runtimeFolders {
		files := Files{}
		for name, b := range source {
			if path.Dir(name) == dir {
				files[name] = b
			}
		}
		in := cuts{}
		if dir == "internal/simd" {
			in = cut
		}
		if small {
			delete(files, adviceFile)
		}
		p, err := parsePackage(files, in)
		if err != nil {
			return nil, err
		}
		packages[strings.TrimPrefix("/"+dir, "/.")] = p
	}
	return packages, nil
}

// reduce returns the parts of packages that can be reached from the files in
// users.
func reduce(packages map[string]*parsed, users Files, imports string) (Files, error) {
	u, err := usesOf(users)
	if err != nil {
		return nil, err
	}
	for below, p := range packages {
		p.reached, p.kept = map[string]bool{}, map[*declared]bool{}
		maps.Copy(p.reached, u.of[path.Base("runtime"+below)])
	}
	reach(packages, u.selectors)
	out := Files{}
	for below, p := range packages {
		reduced, err := p.print(strings.TrimPrefix(below, "/"), imports)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, reduced)
	}
	return out, nil
}

// sharedRuntime returns the copy of the runtime that several packages share.
// imports is the import path of the copy.
func sharedRuntime(source Files, imports, version string) Files {
	out := Files{}
	for name, b := range source {
		switch {
		case name == licenseFile:
		case path.Base(name) == "generate.go":
			continue // the copy does not have the programs that it runs
		default:
			if path.Ext(name) == ".go" {
				b = []byte(strings.ReplaceAll(string(b), `"`+runtimeModule+"/", `"`+imports+"/"))
			}
			b = append(head(version, "this header, and import paths"), b...)
		}
		out[name] = b
	}
	return out
}

// head returns the start of copied files of the runtime.
func head(version, change string) []byte {
	return headOf(modpath.Package("runtime"), version, change)
}

// headOf returns the start of files that are copied from a package. The licence requires
// its name and a notice of changes.
func headOf(from, version, change string) []byte {
	return []byte(strings.Join([]string{
		fmt.Sprintf("%s%s; DO NOT EDIT.", marker, version),
		"//",
		"// SPDX-License-Identifier: Apache-2.0",
		"// From package " + from + ", under the Apache License, Version 2.0, see the",
		"// file LICENSE. Changed: " + change + ".",
		"\n",
	}, "\n"))
}
