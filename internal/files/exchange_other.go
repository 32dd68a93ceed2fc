//go:build !linux

package files

import "errors"

// Exchange gives two folders or files each other's name, in one step. It fails if the
// system or the file system cannot do that.
func Exchange(a, b string) error { return errors.ErrUnsupported }
