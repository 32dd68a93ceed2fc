package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protowire"

	"modelc/internal/npy"
	"modelc/ir"
)

var update = flag.Bool("update", false, "write testdata/bad.txtar anew")

// A mistake of the user gives one clear error and the right exit status, and writes
// nothing. testdata/bad.txtar has the messages.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lenet, err := os.ReadFile(digits + "lenet5.onnx")
	if err != nil {
		t.Fatal(err)
	}
	write("go.mod", []byte("module example.com/bad\n\ngo 1.24\n"))
	write("lenet5.onnx", lenet)
	write("cut.onnx", lenet[:len(lenet)/2])
	write("text.onnx", []byte("this is not a model\n"))
	write("pointer.onnx", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1\n"))
	write("page.onnx", []byte("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"))
	write("packed.onnx", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03 and so on"))
	write("model.tflite", []byte("\x1c\x00\x00\x00TFL3\x14\x00\x20\x00"))
	write("empty.onnx", nil)
	write("keras.h5", []byte("\x89HDF\r\n\x1a\n and so on"))
	write("page.keras", []byte("<!DOCTYPE html>"))
	write("saved/saved_model.pb", nil)
	write("mine/model.go", []byte("package mine\n"))
	write("old/go.mod", []byte("module example.com/old\n\ngo 1.21\n"))
	write("other/other.go", []byte("package other\n"))
	write("two/a.go", []byte("package a\n"))
	write("two/b.go", []byte("package b\n"))
	write("clash/clash.go", []byte("package clash\n\nfunc New() {}\n"))
	write("data/input_0.npy", nil)
	picture, err := os.ReadFile(digits + "3_0.png")
	if err != nil {
		t.Fatal(err)
	}
	write("3.png", picture)
	write("cut.png", picture[:len(picture)/2])
	if err := npy.Write(filepath.Join(dir, "ints.npy"), ir.NewTensor(ir.T(ir.Int64, 1, 1, 28, 28))); err != nil {
		t.Fatal(err)
	}
	if err := npy.Write(filepath.Join(dir, "wide.npy"), ir.NewTensor(ir.T(ir.Float32, 1, 1, 28, 29))); err != nil {
		t.Fatal(err)
	}

	if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("notes/readme.txt", []byte("no pictures here\n"))
	write("classes/0/3.png", picture)
	write("classes/none/readme.txt", nil)
	write("broken/cut.png", picture[:len(picture)/2])
	write("high/12/3.png", picture)
	write("list.csv", []byte("file,label\n3.png,3\nnowhere.png,4\n"))
	write("fields.csv", []byte("3.png,3,4\n"))
	write("x-images-idx3-ubyte", []byte("\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x1c\x00\x00\x00\x1c"))
	nan := ir.NewTensor(ir.T(ir.Float32, 2, 1, 28, 28))
	nan.Float32s()[800] = float32(math.NaN())
	for name, t8 := range map[string]*ir.Tensor{"nan.npy": nan, "good.npy": ir.NewTensor(ir.T(ir.Float32, 2, 1, 28, 28)), "good_labels.npy": ir.TensorOf(ir.Shape{1}, int64(1))} {
		if err := npy.Write(filepath.Join(dir, name), t8); err != nil {
			t.Fatal(err)
		}
	}

	weights := func(n int) []byte { return make([]byte, 4*n) }
	conv := node("Conv", "conv1", "image", "w", "y")
	write("unknown_ops.onnx", model(node("Rulu", "first", "image", "a"), node("Unique", "second", "a", "y"), tensor("w", weights(9), 1, 1, 3, 3)))
	write("channels.onnx", model(conv, tensor("w", weights(2*3*9), 2, 3, 3, 3)))
	write("short_weights.onnx", model(conv, tensor("w", weights(8), 1, 1, 3, 3)))
	write("huge_weights.onnx", model(conv, tensor("w", weights(9), 1<<20, 1<<20, 3, 3)))
	write("external.onnx", model(conv, external("w", "weights.data", 1, 1, 3, 3)))
	write("outside.onnx", model(conv, external("w", "../../secret", 1, 1, 3, 3)))
	write("no_producer.onnx", model(node("Relu", "r", "nobody", "y")))
	write("quantised.onnx", model(node("DequantizeLinear", "d", "q", "s", "w"), conv, tensor("s", []byte{0, 0, 0x80, 0x3f}), bytesTensor("q", make([]byte, 9), 1, 1, 3, 3)))
	write("filter.onnx", model(node("Relu", "r", "image", "y")))
	write("no_output.onnx", model(node("Relu", "r", "image", "z")))

	var golden txtar.Archive
	for _, c := range []struct {
		code int
		line string // DIR stands for the folder of the files above
	}{
		{1, "compile DIR/nowhere.onnx -o DIR/out"},
		{1, "compile DIR -o DIR/out"},
		{1, "compile DIR/empty.onnx -o DIR/out"},
		{1, "compile DIR/text.onnx -o DIR/out"},
		{1, "compile DIR/pointer.onnx -o DIR/out"},
		{1, "compile DIR/page.onnx -o DIR/out"},
		{1, "compile DIR/packed.onnx -o DIR/out"},
		{1, "compile DIR/model.tflite -o DIR/out"},
		{1, "compile DIR/cut.onnx -o DIR/out"},
		{1, "compile DIR/3.png -o DIR/out"},
		{1, "compile DIR/keras.h5 -o DIR/out"},
		{1, "compile DIR/page.keras -o DIR/out"},
		{1, "compile DIR/saved -o DIR/out"},
		{1, "compile DIR/saved/saved_model.pb -o DIR/out"},
		{1, "compile DIR/unknown_ops.onnx -o DIR/out"},
		{1, "compile DIR/channels.onnx -o DIR/out"},
		{1, "compile DIR/short_weights.onnx -o DIR/out"},
		{1, "compile DIR/huge_weights.onnx -o DIR/out"},
		{1, "compile DIR/external.onnx -o DIR/out"},
		{1, "compile DIR/outside.onnx -o DIR/out"},
		{1, "compile DIR/no_producer.onnx -o DIR/out"},
		{1, "compile DIR/no_output.onnx -o DIR/out"},
		{1, "compile DIR/lenet5.onnx -o DIR/mine"},
		{1, "compile DIR/lenet5.onnx -o DIR/3.png"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --package a-b"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --disable-pass fold_batchnrom"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --shape image=1,3,28,28"},
		{2, "compile DIR/lenet5.onnx"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --fast"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --dim N"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --dim N=0"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --weights f4"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --weights embed,file"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --batch 1,0"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --dim M=1"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --batch many"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --standalon"},
		{1, "compile DIR/lenet5.onnx -o DIR/old/out"},
		{1, "compile DIR/lenet5.onnx -o DIR/other --package net"},
		{1, "compile DIR/lenet5.onnx -o DIR/clash"},
		{1, "compile DIR/lenet5.onnx -o DIR/two"},
		{2, "report DIR/lenet5.onnx -o DIR/x.pdf"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --batch 8 --dim N=1"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --batch 1,8 --preprocess caffe"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --batch 8 --preprocess unit"},
		{2, "bench DIR/lenet5.onnx --batch 1,8"},
		{2, "weights DIR/lenet5.onnx -o DIR/w.bin"},
		{1, "weights DIR/lenet5.onnx -o DIR/w.bin DIR/mine"},
		{1, "run DIR/lenet5.onnx DIR/nowhere.png --engine inproc"},
		{1, "run DIR/lenet5.onnx DIR/text.onnx --engine inproc"},
		{1, "run DIR/lenet5.onnx DIR/cut.png --engine inproc"},
		{1, "run DIR/lenet5.onnx DIR/wide.npy --engine inproc"},
		{1, "run DIR/lenet5.onnx DIR/ints.npy --engine inproc"},
		{1, "run DIR/lenet5.onnx DIR/3.png --engine inproc --labels DIR/nowhere.txt"},
		{2, "run DIR/lenet5.onnx DIR/3.png --engine inproc --mean 1,2"},
		{1, "run DIR/lenet5.onnx DIR/3.png --engine inproc --labels imagenet"},
		{1, "run DIR/lenet5.onnx DIR/3.png --engine inproc --preprocess caffe"},
		{2, "run DIR/lenet5.onnx DIR/3.png --engine inproc --preprocess vgg"},
		{2, "run DIR/lenet5.onnx DIR/3.png --engine inproc --interpolation area"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --preprocess unit --labels imagenet"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --preprocess caffe"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --preprocess unit --dim N=2"},
		{1, "compile DIR/filter.onnx -o DIR/out --preprocess unit"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --labels imagenet"},
		{2, "run DIR/lenet5.onnx DIR/3.png --engine gpu"},
		{2, "bench DIR/lenet5.onnx --engine gpu"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --target gpu"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --target cuda --precision f8"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --precision tf32"},
		{2, "run DIR/lenet5.onnx"},
		{2, "quantize DIR/lenet5.onnx --calibrate DIR/good.npy"},
		{2, "quantize DIR/lenet5.onnx -o DIR/q.onnx"},
		{2, "quantize -o DIR/q.onnx"},
		{2, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --calibration mean"},
		{2, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --calibration percentile --percentile 0.99"},
		{2, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --activations s8"},
		{2, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --max-drop -1"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/nowhere"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/empty"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/notes"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/classes"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/broken"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/text.onnx"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/list.csv"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/fields.csv"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/x-images-idx3-ubyte"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/wide.npy"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/ints.npy"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/nan.npy"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/good.npy"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --preprocess caffe"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --dim N=2"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --exclude conv9"},
		{1, "quantize DIR/lenet5.onnx -o DIR/q.onnx --calibrate DIR/3.png --exclude-op Softmax"},
		{1, "quantize DIR/filter.onnx -o DIR/q.onnx --calibrate DIR/3.png"},
		{1, "quantize DIR/quantised.onnx -o DIR/q.onnx --calibrate DIR/3.png"},
		{1, "quantize DIR/lenet5.onnx -o DIR/nowhere/q.onnx --calibrate DIR/3.png"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --calibrate DIR/3.png"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --quantize"},
		{2, "compile DIR/lenet5.onnx -o DIR/out --quantize --calibrate DIR/3.png --batch 1,8"},
		{1, "compile DIR/lenet5.onnx -o DIR/out --quantize --calibrate DIR/3.png"},
		{2, "eval DIR/lenet5.onnx"},
		{1, "eval DIR/lenet5.onnx --data DIR/empty"},
		{1, "eval DIR/lenet5.onnx --data DIR/high"},
		{1, "eval DIR/filter.onnx --data DIR/3.png"},
		{1, "eval DIR/lenet5.onnx --data DIR/3.png --against DIR/filter.onnx"},
		{1, "verify DIR/lenet5.onnx --data DIR/mine"},
		{1, "verify DIR/lenet5.onnx --data DIR/data"},
		{1, "zoo vgg17 -o DIR/out"},
		{1, "zoo lenet5 -o DIR/nowhere/out"},
		{2, "zoo vgg16"},
		{2, "zoo vgg16 vgg19"},
		{2, "run DIR/lenet5.onnx DIR/3.png --top 0"},
		{2, "bench DIR/lenet5.onnx --threads many"},
		{2, "inspect DIR/lenet5.onnx DIR/cut.onnx"},
		{2, "inspect"},
		{2, "frobnicate"},
		{2, "inspct DIR/lenet5.onnx"},
	} {
		var args []string
		for _, a := range strings.Fields(c.line) {
			args = append(args, strings.Replace(a, "DIR", dir, 1))
		}
		before := pathsBelow(t, dir)
		code, stdout, stderr := invoke(t, args...)
		if code != c.code || stdout != "" {
			t.Errorf("%s: exit %d, want %d\n%s%s", c.line, code, c.code, stdout, stderr)
		}
		if d := cmp.Diff(before, pathsBelow(t, dir)); d != "" {
			t.Errorf("%s wrote files:\n%s", c.line, d)
		}
		stderr = strings.ReplaceAll(filepath.ToSlash(stderr), filepath.ToSlash(dir), "DIR")
		stderr = strings.ReplaceAll(stderr, "\u00a0", " ")                               // protobuf varies its messages from build to build
		stderr = strings.ReplaceAll(stderr, fmt.Sprint(ir.MaxExtent), fmt.Sprint(1<<30)) // int may have 32 bits
		golden.Files = append(golden.Files, txtar.File{Name: c.line, Data: []byte(stderr)})
	}
	const path = "testdata/bad.txtar"
	got := txtar.Format(&golden)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("messages differ from %s (-update accepts them):\n%s", path, d)
	}
}

// pathsBelow returns the paths below dir.
func pathsBelow(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		list = append(list, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// model returns an ONNX model with the given parts of a graph. Its input is image,
// float32 [1,1,28,28], and its output is y.
func model(parts ...[]byte) []byte {
	g := field(nil, 2, []byte("test"))
	for _, p := range parts {
		g = append(g, p...)
	}
	g = field(g, 11, port("image", 1, 1, 28, 28))
	g = field(g, 12, field(nil, 1, []byte("y")))
	m := number(nil, 1, 8)              // IR version
	m = field(m, 8, number(nil, 2, 13)) // opset
	return field(m, 7, g)
}

// node returns a node. The last name is that of its result, the others are its
// operands.
func node(op, name string, values ...string) []byte {
	var n []byte
	for _, v := range values[:len(values)-1] {
		n = field(n, 1, []byte(v))
	}
	n = field(n, 2, []byte(values[len(values)-1]))
	n = field(n, 3, []byte(name))
	return field(nil, 1, field(n, 4, []byte(op)))
}

// tensor returns a float32 initializer.
func tensor(name string, raw []byte, dims ...uint64) []byte {
	return field(nil, 5, field(head(name, dims), 9, raw))
}

// bytesTensor returns an initializer of int8.
func bytesTensor(name string, raw []byte, dims ...uint64) []byte {
	var t []byte
	for _, d := range dims {
		t = number(t, 1, d)
	}
	return field(nil, 5, field(field(number(t, 2, 3), 8, []byte(name)), 9, raw))
}

// external returns an initializer whose elements are in another file.
func external(name, location string, dims ...uint64) []byte {
	entry := field(field(nil, 1, []byte("location")), 2, []byte(location))
	return field(nil, 5, number(field(head(name, dims), 13, entry), 14, 1))
}

func head(name string, dims []uint64) []byte {
	var t []byte
	for _, d := range dims {
		t = number(t, 1, d)
	}
	return field(number(t, 2, 1), 8, []byte(name))
}

func port(name string, dims ...uint64) []byte {
	var shape []byte
	for _, d := range dims {
		shape = field(shape, 1, number(nil, 1, d))
	}
	typ := field(nil, 1, field(number(nil, 1, 1), 2, shape))
	return field(field(nil, 1, []byte(name)), 2, typ)
}

// field and number append fields of a protobuf message.
func field(m []byte, n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), b)
}

func number(m []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
}
