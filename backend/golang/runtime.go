package golang

import (
	"fmt"
	"path"
	"strings"

	"modelc/internal/modpath"
)

// The files of a copied runtime that are known by name.
const (
	licenseFile  = "LICENSE" // the text, which the licence demands
	runtimeDoc   = "doc.go"
	runtimeEntry = "plan.go"
)

// copyRuntime returns a copy of the runtime reduced to what the files of a
// package use: its files by their path below RuntimeDir. source are those of
// package runtime and of packages below it, a folder each.
func copyRuntime(source, users Files, version string) (Files, error) {
	u, err := usesOf(users)
	if err != nil {
		return nil, err
	}
	packages := map[string]Files{}
	for name, b := range source {
		dir, _ := path.Split(name)
		if packages[dir] == nil {
			packages[dir] = Files{}
		}
		packages[dir][name] = b
	}
	out := Files{}
	for dir, files := range packages {
		roots := u.of[path.Base(path.Join("runtime", dir))]
		if len(roots) == 0 {
			continue
		}
		p, err := parsePackage(files)
		if err != nil {
			return nil, err
		}
		reduced, err := p.reduce(roots, u.selectors)
		if err != nil {
			return nil, err
		}
		for name, b := range reduced {
			out[name] = append(head(version, "reduced to what the package above it uses"), b...)
		}
	}
	if b, ok := source[licenseFile]; ok {
		out[licenseFile] = b
	}
	return out, nil
}

// sharedRuntime returns the copy of the runtime that several packages share.
func sharedRuntime(source Files, version string) Files {
	out := Files{}
	for name, b := range source {
		if name != licenseFile {
			b = append(head(version, "this header"), b...)
		}
		out[name] = b
	}
	delete(out, "generate.go") // its programs are not there
	return out
}

// head is what copied files start with: the licence asks for its name and for
// a notice of changes.
func head(version, change string) []byte {
	return []byte(strings.Join([]string{
		fmt.Sprintf("%s%s; DO NOT EDIT.", marker, version),
		"//",
		"// SPDX-License-Identifier: Apache-2.0",
		"// From package " + modpath.Package("runtime") + ", under the Apache License, Version 2.0, see the",
		"// file LICENSE. Changed: " + change + ".",
		"\n",
	}, "\n"))
}
