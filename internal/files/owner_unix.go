//go:build unix

package files

import (
	"io/fs"
	"os"
	"syscall"
)

// owners reports whether files have owners and modes.
const owners = true

// owned reports whether a file belongs to this user.
func owned(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
