package beam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
)

// local returns the path of a file of weights on this machine. A path without a
// scheme is returned as it is. A file of another filesystem of Beam, such as
// gs://bucket/weights.bin, is copied once to the user's cache folder, for all
// workers of the machine. A file there must not change: give another one another
// name.
func local(ctx context.Context, path string) (string, error) {
	if !strings.Contains(path, "://") {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(path))
	copied := filepath.Join(cache, "modelc-weights", hex.EncodeToString(sum[:])+".bin")
	if _, err := os.Stat(copied); err == nil {
		return copied, nil
	}
	if err := os.MkdirAll(filepath.Dir(copied), 0o700); err != nil {
		return "", err
	}
	fs, err := filesystem.New(ctx, path)
	if err != nil {
		return "", err
	}
	defer fs.Close()
	src, err := fs.OpenRead(ctx, path)
	if err != nil {
		return "", err
	}
	defer src.Close()
	// Workers that copy at the same time write files of their own.
	dst, err := os.CreateTemp(filepath.Dir(copied), "copy")
	if err != nil {
		return "", err
	}
	defer os.Remove(dst.Name())
	_, err = io.Copy(dst, src)
	if e := dst.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", err
	}
	return copied, os.Rename(dst.Name(), copied)
}
