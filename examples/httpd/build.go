package main

import "runtime/debug"

// build says what the program was built from.
type build struct {
	Version  string `json:"version"`            // of the module; "(devel)" if it was built in its folder without version control
	Revision string `json:"revision,omitempty"` // the commit
	Modified bool   `json:"modified,omitempty"` // the files differed from the commit
	Go       string `json:"go"`
}

// readBuild returns what the go command wrote into the program. `go version -m` prints
// all of it, with the modules.
func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{}
	}
	b := build{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
