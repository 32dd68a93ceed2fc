package hdf5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// contents reads a file that testdata/make.py wrote.
func contents(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func root(t testing.TB, b []byte) *Group {
	t.Helper()
	f, err := Open(Bytes(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	g, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Numbers are read in both byte orders.
func TestNumbers(t *testing.T) {
	for _, file := range []string{"types.h5", "big.h5"} {
		testNumbers(t, root(t, contents(t, file)))
	}
	chunks, err := root(t, contents(t, "big.h5")).Dataset("chunks")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := chunks.Bytes(); err != nil || !bytes.Equal(b[12:16], []byte{0, 0, 0x40, 0x40}) {
		t.Errorf("element 3 of big-endian chunks: % x, %v", b, err)
	}
}

func testNumbers(t *testing.T, g *Group) {
	t.Helper()
	for _, name := range []string{"float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"} {
		short := name[:1] + map[string]string{"8": "1", "16": "2", "32": "4", "64": "8"}[strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz")]
		d, err := g.Dataset("numbers/" + short)
		if err != nil {
			t.Fatal(err)
		}
		if d.Type.String() != name || !reflect.DeepEqual(d.Shape, []int{2, 3}) {
			t.Errorf("%s: type %s, shape %v", name, d.Type, d.Shape)
		}
		b, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			var bits uint64
			for k := range d.Type.Size {
				bits |= uint64(b[i*d.Type.Size+k]) << (8 * k)
			}
			v := float64(bits)
			switch name {
			case "float32":
				v = float64(math.Float32frombits(uint32(bits)))
			case "float64":
				v = math.Float64frombits(bits)
			}
			if v != float64(i) {
				t.Errorf("%s: element %d is %v", name, i, v)
			}
		}
	}
}

func TestOddDatasets(t *testing.T) {
	g := root(t, contents(t, "types.h5"))
	for _, c := range []struct {
		name, typ string
		shape     []int
		data      []byte
	}{
		{"scalar", "float32", []int{}, []byte{0, 0, 0x20, 0x40}},
		{"empty", "float32", []int{0, 3}, nil},
		{"bfloat16", "opaque2", []int{2}, []byte{0x80, 0x3f, 0, 0x40}},
		{"compact", "float32", []int{3}, []byte{0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}},
		{"numbers/f2", "float16", []int{2, 3}, []byte{0, 0, 0, 0x3c, 0, 0x40, 0, 0x42, 0, 0x44, 0, 0x45}},
	} {
		d, err := g.Dataset(c.name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if d.Type.String() != c.typ || !reflect.DeepEqual(d.Shape, c.shape) || !bytes.Equal(b, c.data) {
			t.Errorf("%s: %s %v % x", c.name, d.Type, d.Shape, b)
		}
	}
	d, err := g.Dataset("bfloat16")
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.Attr("dtype")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := a.Str(); s != "bfloat16" || err != nil {
		t.Errorf("attribute dtype: %q, %v", s, err)
	}
}

func TestAttributes(t *testing.T) {
	g := root(t, contents(t, "types.h5"))
	for _, c := range []struct {
		name string
		want []string
	}{
		{"text", []string{strings.Repeat("λ ", 3000)}},
		{"list", []string{"conv1/bn", "", "dense"}},
		{"fixed", []string{"one", "three"}},
		{"none", nil},
	} {
		a, err := g.Attr(c.name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Strings()
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %.40q, %v", c.name, got, err)
		}
	}
	if a, err := g.Attr("absent"); a != nil || err != nil {
		t.Errorf("absent: %v, %v", a, err)
	}
	a, err := g.Attr("number")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Strings(); err == nil || !strings.Contains(err.Error(), "is a int64, not a string") {
		t.Errorf("number: %v", err)
	}
}

// A group of 301 entries has a B-tree of two levels and a heap that was moved.
// Its header continues because of forty attributes.
func TestLargeGroup(t *testing.T) {
	g, err := root(t, contents(t, "groups.h5")).Group("many")
	if err != nil {
		t.Fatal(err)
	}
	names := g.Names()
	if len(names) != 301 || names[0] != "link_000" || names[299] != "link_299" {
		t.Fatalf("%d names: %v", len(names), names)
	}
	for _, n := range names[:300] {
		if _, err := g.Dataset(n); err != nil {
			t.Fatal(err)
		}
	}
	for k := range 40 {
		a, err := g.Attr(fmt.Sprintf("later_%d", k))
		if err != nil || a == nil {
			t.Fatalf("attribute %d: %v", k, err)
		}
		if s, _ := a.Str(); s != fmt.Sprintf("value %d", k) {
			t.Errorf("attribute %d is %q", k, s)
		}
	}
}

func TestPaths(t *testing.T) {
	g := root(t, contents(t, "groups.h5"))
	d, err := g.Dataset("a/b/c/d")
	if err != nil || d.Path() != "/a/b/c/d" {
		t.Fatalf("%v, %v", d, err)
	}
	for path, want := range map[string]string{
		"a/x":       `hdf5: /a: it has no "x"`,
		"a/b/c/d/e": "hdf5: /a/b/c/d: not a group",
		"a/b":       "hdf5: /a/b: not a dataset: message 0x3 is missing",
		"a/loop/b":  "hdf5: /a/loop: the group contains itself",
		"many/soft": "hdf5: /many/soft: a soft link is not supported",
		"":          `hdf5: /: it has no ""`,
	} {
		if _, err := g.Dataset(path); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestChunks(t *testing.T) {
	g := root(t, contents(t, "chunks.h5"))
	for _, name := range []string{"plain", "deflate", "both"} {
		d, err := g.Dataset(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Bytes()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(b) != 280 {
			t.Fatalf("%s: %d bytes", name, len(b))
		}
		for i := range 70 {
			if v := math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])); v != float32(i) {
				t.Errorf("%s: element %d is %v", name, i, v)
			}
		}
	}
	d, err := g.Dataset("line")
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 11 {
		if v := math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])); v != float64(i) {
			t.Errorf("line: element %d is %v", i, v)
		}
	}
}

// An unsupported feature is an error that names the feature.
func TestUnsupported(t *testing.T) {
	read := func(file, path string) error {
		b := contents(t, file)
		f, err := Open(Bytes(b), int64(len(b)))
		if err != nil {
			return err
		}
		g, err := f.Root()
		if err != nil {
			return err
		}
		d, err := g.Dataset(path)
		if err != nil {
			return err
		}
		_, err = d.Bytes()
		return err
	}
	for _, c := range []struct{ file, path, at, feature string }{
		{"latest.h5", "x", "/", "superblock version 3"},
		{"newheader.h5", "x", "/", "superblock version 2"},
		{"chunks.h5", "checksum", "/checksum", "filter fletcher32"},
		{"chunks.h5", "lzf", "/lzf", "filter lzf"},
		{"chunks.h5", "part", "/part", "a dataset of which 1 of 9 chunks were written (fill value)"},
		{"refused.h5", "compound", "/compound", "datatype class compound"},
		{"refused.h5", "bool", "/bool", "datatype class enumeration"},
		{"refused.h5", "reference", "/reference", "datatype class reference"},
		{"refused.h5", "unwritten", "/unwritten", "a dataset that was never written (fill value)"},
		{"refused.h5", "external", "/external", "external data storage"},
		{"refused.h5", "committed", "/committed", "a shared message (committed datatype)"},
	} {
		err := read(c.file, c.path)
		var u *Unsupported
		if !errors.As(err, &u) || u.Path != c.at || u.Feature != c.feature {
			t.Errorf("%s %s: %v", c.file, c.path, err)
		}
	}
}

// A dataset of a file in memory is a slice of the file. A dataset read through a
// reader has the same bytes.
func TestNotCopied(t *testing.T) {
	b := contents(t, "groups.h5")
	d, err := root(t, b).Dataset("a/b/c/d")
	if err != nil {
		t.Fatal(err)
	}
	data, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, data)
	if at < 0 || &b[at] != &data[0] {
		t.Error("the data were copied")
	}
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	g, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	if d, err = g.Dataset("a/b/c/d"); err != nil {
		t.Fatal(err)
	}
	if again, err := d.Bytes(); err != nil || !bytes.Equal(again, data) {
		t.Errorf("through a reader: % x, %v", again, err)
	}
}

// explore opens the objects of a file up to a maximum number, because hard links
// can make a few objects look like many.
func explore(b []byte) (objects int) {
	f, err := Open(Bytes(b), int64(len(b)))
	if err != nil {
		return 0
	}
	g, err := f.Root()
	if err != nil {
		return 0
	}
	var visit func(g *Group)
	visit = func(g *Group) {
		for _, a := range []string{"text", "list", "fixed", "none", "number", "later_39", "dtype"} {
			if a, err := g.Attr(a); err == nil && a != nil {
				a.Strings()
			}
		}
		for _, name := range g.Names() {
			if objects++; objects > 2000 {
				return
			}
			if d, err := g.Dataset(name); err == nil {
				d.Bytes()
			} else if sub, err := g.Group(name); err == nil {
				visit(sub)
			}
		}
	}
	visit(g)
	return objects
}

var files = []string{"types.h5", "groups.h5", "chunks.h5", "refused.h5", "latest.h5", "newheader.h5"}

// Open reports a truncated file, because the superblock has the file's length.
func TestTruncated(t *testing.T) {
	b := contents(t, "types.h5")
	for n := 0; n < len(b); n += 97 {
		if _, err := Open(Bytes(b[:n]), int64(n)); err == nil {
			t.Fatalf("%d of %d bytes open without an error", n, len(b))
		}
	}
	if _, err := Open(Bytes(b[:1000]), 1000); !strings.Contains(err.Error(), fmt.Sprintf("truncated: it has 1000 of %d bytes", len(b))) {
		t.Error(err)
	}
}

// A damaged file gives an error or wrong values, never a panic or an endless
// loop.
func TestDamaged(t *testing.T) {
	for _, name := range files {
		b := contents(t, name)
		start := time.Now()
		for at := 0; at < len(b); at += 1 + len(b)/300 {
			for _, v := range []byte{0, 1, 0x7f, 0xff} {
				c := bytes.Clone(b)
				c[at] = v
				explore(c)
			}
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// A chunk that decompresses to far more bytes than the file has is an error.
func TestBomb(t *testing.T) {
	b := contents(t, "chunks.h5")
	d, err := root(t, b).Dataset("deflate")
	if err != nil {
		t.Fatal(err)
	}
	d.Shape, d.count = []int{1 << 19, 1 << 19}, 1<<38
	if _, err := d.Bytes(); err == nil || !strings.Contains(err.Error(), "decompression bomb") {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range files {
		f.Add(contents(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) { explore(b) })
}
