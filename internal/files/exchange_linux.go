package files

import "golang.org/x/sys/unix"

// Exchange gives two folders or files each other's name, in one step. It fails if the
// system or the file system cannot do that.
func Exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}
