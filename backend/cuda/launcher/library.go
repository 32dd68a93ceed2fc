package launcher

import (
	"errors"
	"fmt"
	"strings"
)

// A Library is a loaded shared library of the system.
type Library struct {
	Path   string // the name by which it was found
	handle uintptr
}

// OpenLibrary loads the first of the named libraries that the system can load. A name
// without a slash is looked up on the system's library path. The error has the reason
// for each name.
func OpenLibrary(names ...string) (*Library, error) {
	var why []string
	for _, name := range names {
		handle, err := openLibrary(name)
		if err == nil {
			return &Library{name, handle}, nil
		}
		if reason := err.Error(); strings.Contains(reason, name) {
			why = append(why, reason)
		} else {
			why = append(why, name+": "+reason)
		}
	}
	return nil, errors.New(strings.Join(why, "; "))
}

// Close unloads the library.
func (l *Library) Close() error { return closeLibrary(l.handle) }

// Symbol returns the address of a function.
func (l *Library) Symbol(name string) (uintptr, error) {
	fn, err := symbol(l.handle, name)
	if err != nil {
		return 0, fmt.Errorf("%s has no function %s", l.Path, name)
	}
	return fn, nil
}
