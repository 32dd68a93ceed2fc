package keras

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"
)

// archive is a .keras file: a zip of config.json, metadata.json and
// model.weights.h5.
type archive struct {
	data []byte
	zip  *zip.Reader
}

// Limits of decompression. Weights hardly compress, so an entry that exceeds
// both limits is treated as a decompression bomb.
const (
	freeInflation = 64 << 20 // bytes that any entry may have
	maxInflation  = 16       // maximum ratio to the archive's size
)

func openArchive(data []byte) (*archive, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("the archive is damaged or incomplete: %w", err)
	}
	seen := map[string]bool{}
	for _, f := range z.File {
		if strings.HasPrefix(f.Name, "/") || strings.Contains(f.Name, "\\") || f.Name != "" && path.Clean(f.Name) != strings.TrimSuffix(f.Name, "/") || strings.HasPrefix(f.Name, "..") {
			return nil, fmt.Errorf("the archive has an entry %q with a path outside the archive: it was not made by Keras", f.Name)
		}
		if seen[f.Name] {
			return nil, fmt.Errorf("the archive has two entries %q", f.Name)
		}
		seen[f.Name] = true
	}
	return &archive{data, z}, nil
}

func (a *archive) has(name string) bool { return a.find(name) != nil }

func (a *archive) find(name string) *zip.File {
	for _, f := range a.zip.File {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// entry returns the contents of an entry of at most limit bytes. The result is
// a slice of the archive if the entry is not compressed.
func (a *archive) entry(name string, limit uint64) ([]byte, error) {
	f := a.find(name)
	if f == nil {
		return nil, fmt.Errorf("the archive has no %s: it was not written by model.save", name)
	}
	if f.UncompressedSize64 > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than the limit of %d: it looks like a decompression bomb", name, f.UncompressedSize64, limit)
	}
	if f.Flags&1 != 0 {
		return nil, fmt.Errorf("%s is encrypted", name)
	}
	switch f.Method {
	case zip.Store:
		at, err := f.DataOffset()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if n := f.UncompressedSize64; at < 0 || at > int64(len(a.data)) || n > uint64(int64(len(a.data))-at) || n != f.CompressedSize64 {
			return nil, fmt.Errorf("%s is outside the archive", name)
		}
		b := a.data[at : at+int64(f.UncompressedSize64)]
		if crc32.ChecksumIEEE(b) != f.CRC32 {
			return nil, fmt.Errorf("%s is damaged: its checksum is wrong", name)
		}
		return b, nil
	case zip.Deflate:
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, int64(f.UncompressedSize64)+1))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return b, nil
	}
	return nil, fmt.Errorf("%s is compressed with method %d: only stored and deflated entries are supported", name, f.Method)
}

// weightsLimit returns the maximum size of the uncompressed weights in bytes.
func (a *archive) weightsLimit() uint64 {
	return max(freeInflation, maxInflation*uint64(len(a.data)))
}
