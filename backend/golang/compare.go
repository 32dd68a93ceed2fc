package golang

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"modelc/backend/cpu"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// Difference is a file that differs from the one that [Write] would write.
type Difference struct {
	File string // slashed, below the package's folder
	// Old and New are the contents of a text file: in the package, and as Write
	// would write it. Each is nil if the file does not exist there or is not text.
	Old, New []byte
	// Note describes the difference of a file that is not text, as the predicate of
	// a sentence about the file. It is "" for text.
	Note string
}

// Compare returns the differences between the package in dir and the one that
// [Write] would write there. It returns nil if there are none. It does not write
// to dir.
func Compare(dir string, p *cpu.Program, o Options) ([]Difference, error) {
	return compare(dir, packageLayout, func(tmp string) error {
		_, err := render(tmp, p, o)
		return err
	}, func(offset int64) string { return sectionAt(p.Plan, offset) })
}

// CompareRuntime returns the differences between the runtime in dir and the one
// that [WriteRuntime] would write there.
func CompareRuntime(dir string, source Files, imports, version string) ([]Difference, error) {
	return compare(dir, runtimeLayout, func(tmp string) error {
		_, err := writeFiles(tmp, sharedRuntime(source, imports, version))
		return err
	}, nil)
}

func compare(dir string, l layout, render func(tmp string) error, section func(offset int64) string) ([]Difference, error) {
	tmp, err := os.MkdirTemp("", "modelc-diff")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := render(tmp); err != nil {
		return nil, err
	}
	made, err := l.list(tmp)
	if err != nil {
		return nil, err
	}
	var there []string
	if _, err := os.Stat(dir); err == nil {
		if there, err = l.list(dir); err != nil {
			return nil, err
		}
	}
	var out []Difference
	for _, f := range made {
		want, have := filepath.Join(tmp, f), filepath.Join(dir, f)
		same := false
		if slices.Contains(there, f) {
			if path.Ext(f) == ".ptx" {
				continue // it follows from the source, and depends on the compiler's version
			}
			if same, err = equalFiles(want, have); err != nil {
				return nil, err
			}
		}
		if same {
			continue
		}
		d := Difference{File: f}
		switch {
		case path.Ext(f) != ".bin":
			if d.New, err = os.ReadFile(want); err != nil {
				return nil, err
			}
			if slices.Contains(there, f) {
				if d.Old, err = os.ReadFile(have); err != nil {
					return nil, err
				}
			}
		case !slices.Contains(there, f):
			d.Note = "is missing"
		default:
			if d.Note, err = binaryNote(have, want, section); err != nil {
				return nil, err
			}
		}
		out = append(out, d)
	}
	for _, f := range there {
		if slices.Contains(made, f) || !l.generated(dir, f) {
			continue
		}
		d := Difference{File: f, Note: "is no longer written"}
		if path.Ext(f) != ".bin" {
			d.Note = ""
			if d.Old, err = os.ReadFile(filepath.Join(dir, f)); err != nil {
				return nil, err
			}
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Difference) int { return cmp.Compare(a.File, b.File) })
	return out, nil
}

// binaryNote describes the difference of two files: their sizes and digests and,
// if the sizes are equal, the sections that differ.
func binaryNote(have, want string, section func(offset int64) string) (string, error) {
	a, sumA, err := digest(have)
	if err != nil {
		return "", err
	}
	b, sumB, err := digest(want)
	if err != nil {
		return "", err
	}
	note := fmt.Sprintf("is %d bytes with SHA-256 %.12s…, would be %d bytes with %.12s…", a, sumA, b, sumB)
	if a != b || section == nil {
		return note, nil
	}
	var sections []string
	last := ""
	err = eachDifference(have, want, func(offset int64) {
		if s := section(offset); s != last {
			last = s
			sections = append(sections, s)
		}
	})
	const most = 6
	sections = slices.DeleteFunc(sections, func(s string) bool { return s == "" })
	if n := len(sections); n > most {
		sections = append(sections[:most], fmt.Sprintf("and %d more", n-most))
	}
	if len(sections) > 0 {
		note += "; weights of " + strings.Join(sections, ", ")
	}
	return note, err
}

// sectionAt returns the layer whose weights lie at an offset of the weights file,
// or "" if the offset is in the header.
func sectionAt(p *runtime.Plan, offset int64) string {
	at := int(offset) - runtime.WeightsHeader
	best, name := -1, ""
	for _, list := range [][]runtime.Step{p.Load, p.Steps} {
		for _, s := range list {
			for _, f := range fields(reflect.ValueOf(s.Kernel).Elem()) {
				if r := f.ref; r.Space == kernel.Weights && r.Present() && r.Off <= at && r.Off > best {
					best, name = r.Off, s.Name
				}
			}
		}
	}
	return name
}

func digest(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, fmt.Sprintf("%x", h.Sum(nil)), err
}

// equalFiles reports whether two files hold the same bytes.
func equalFiles(a, b string) (bool, error) {
	sa, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	sb, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	same := sa.Size() == sb.Size()
	if same {
		err = eachDifference(a, b, func(int64) { same = false })
	}
	return same, err
}

// eachDifference calls f with the offset of the first byte that differs in each
// cache line. Two sections never share a cache line.
func eachDifference(a, b string, f func(offset int64)) error {
	fa, err := os.Open(a)
	if err != nil {
		return err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return err
	}
	defer fb.Close()
	const line = 64
	ba, bb := make([]byte, 1<<20), make([]byte, 1<<20)
	for offset := int64(0); ; {
		na, err := io.ReadFull(fa, ba)
		nb, errB := io.ReadFull(fb, bb)
		if !bytes.Equal(ba[:na], bb[:nb]) {
			for i := 0; i < min(na, nb); i += line {
				x, y := ba[i:min(i+line, na)], bb[i:min(i+line, nb)]
				for k := range x {
					if k >= len(y) || x[k] != y[k] {
						f(offset + int64(i+k))
						break
					}
				}
			}
		}
		offset += int64(na)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil
		case err != nil:
			return err
		case errB != nil:
			return errB
		}
	}
}
