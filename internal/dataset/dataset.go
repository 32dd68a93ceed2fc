// Package dataset reads examples for a network, with or without labels: folders of pictures, a
// folder per class, CSV lists, NumPy arrays, and MNIST's own format.
package dataset

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"modelc/internal/npy"
	"modelc/ir"
	"modelc/runtime/vision"
)

// Options describes the inputs that a set makes.
type Options struct {
	// Input is the type of the network's input, float32 with a batch of 1.
	Input ir.Type
	// Apply converts a picture to the elements of an input. If it is nil, pictures are
	// errors; Why is the reason.
	Apply func(dst []float32, img image.Image) error
	Why   error
	// Classes are the names of the network's classes by index. They may be nil.
	Classes []string
}

// Set is a list of examples.
type Set struct {
	o     Options
	items []item
	// Classes are the names of the labels, by index. It is nil if labels are numbers.
	Classes []string

	cache  map[int]*ir.Tensor
	cached int // bytes
}

// item is an example: a picture, a file or a tensor.
type item struct {
	name  string
	label int // -1 if it is unknown
	read  func() (image.Image, error)
	array *ir.Tensor // with example row
	row   int
}

// maxCached is the maximum size of the inputs that a set keeps.
const maxCached = 512 << 20

// Extensions of files that hold an example.
var (
	pictureExts = []string{".png", ".jpg", ".jpeg"}
	known       = "pictures (.png, .jpg) or arrays (.npy)"
)

// Open reads the list of examples in paths: folders of pictures and arrays, folders with a
// folder per class, .csv lists of files and labels, .npy arrays, and idx files. Arrays are read
// at once, pictures when Input needs them.
func Open(o Options, paths ...string) (*Set, error) {
	s := &Set{o: o, cache: map[int]*ir.Tensor{}}
	for _, p := range paths {
		if err := s.add(p); err != nil {
			return nil, err
		}
	}
	if len(s.items) == 0 {
		return nil, errors.New("no examples")
	}
	return s, nil
}

func (s *Set) add(path string) error {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case st.IsDir():
		return s.folder(path)
	case isIDX(path):
		return s.idx(path)
	case strings.ToLower(filepath.Ext(path)) == ".csv":
		return s.csv(path)
	}
	if !isExample(path) {
		return fmt.Errorf("%s: want a folder, %s, a .csv list or an idx file", path, known)
	}
	return s.file(path, -1)
}

// isExample reports whether the file at path can hold an example.
func isExample(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".npy" || slices.Contains(pictureExts, ext)
}

// folder adds the files of a folder. If it holds none, its folders are classes.
func (s *Set) folder(dir string) error {
	files, folders, others, err := list(dir)
	if err != nil {
		return err
	}
	if len(files) > 0 {
		for _, f := range files {
			if err := s.file(f, -1); err != nil {
				return err
			}
		}
		return nil
	}
	if len(folders) == 0 {
		if len(others) > 0 {
			return fmt.Errorf("%s holds no %s, only files such as %s", dir, known, others[0])
		}
		return fmt.Errorf("%s is empty: want %s, or a folder of them per class", dir, known)
	}
	label, err := s.labels(dir, folders)
	if err != nil {
		return err
	}
	for _, f := range folders {
		class := filepath.Join(dir, f)
		files, _, _, err := list(class)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("%s, the folder of a class, holds no %s", class, known)
		}
		for _, file := range files {
			if err := s.file(file, label(f)); err != nil {
				return err
			}
		}
	}
	return nil
}

// list returns the paths of the examples in a folder, and the names of the folders and other
// files, all sorted.
func list(dir string) (files, folders, others []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		st, err := os.Stat(path) // follows links
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case err != nil:
			return nil, nil, nil, err
		case st.IsDir():
			folders = append(folders, e.Name())
		case isExample(path):
			if !strings.HasSuffix(path, labelsSuffix) {
				files = append(files, path)
			}
		default:
			others = append(others, e.Name())
		}
	}
	return files, folders, others, nil
}

// labels returns the function from the name of a class to its index. Names are those of the
// network's classes if it has names, or numbers, or else they are numbered in sorted order, as
// Keras and torchvision number folders.
func (s *Set) labels(place string, names []string) (func(name string) int, error) {
	numbers := !slices.ContainsFunc(names, func(n string) bool { i, err := strconv.Atoi(n); return err != nil || i < 0 })
	index := func(name string) int { return slices.Index(s.o.Classes, name) }
	switch {
	case s.o.Classes != nil && !slices.ContainsFunc(names, func(n string) bool { return index(n) < 0 }):
		s.Classes = s.o.Classes
		return index, nil
	case numbers:
		s.Classes = s.o.Classes
		return func(name string) int { i, _ := strconv.Atoi(name); return i }, nil
	case s.o.Classes != nil:
		i := slices.IndexFunc(names, func(n string) bool { return index(n) < 0 })
		return nil, fmt.Errorf("%s: %q is not the name of a class, nor a number", place, names[i])
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	if s.Classes != nil && !slices.Equal(s.Classes, sorted) {
		return nil, fmt.Errorf("%s has the classes %q, another set has %q: name the classes of the network with --labels", place, sorted, s.Classes)
	}
	s.Classes = sorted
	return func(name string) int { i, _ := slices.BinarySearch(sorted, name); return i }, nil
}

// file adds the examples in a file.
func (s *Set) file(path string, label int) error {
	if strings.ToLower(filepath.Ext(path)) == ".npy" {
		return s.array(path, label)
	}
	s.items = append(s.items, item{name: path, label: label, read: func() (image.Image, error) { return vision.Open(path) }})
	return nil
}

// labelsSuffix ends the name of the array that has the labels of another one.
const labelsSuffix = "_labels.npy"

// array adds the examples in a .npy file. NAME_labels.npy, if it exists, has their labels.
func (s *Set) array(path string, label int) error {
	t, err := npy.Read(path)
	if err != nil {
		return err
	}
	want := s.o.Input.Shape
	n := 1
	switch {
	case !t.DType.IsFloat():
	case t.Shape.Equal(want), t.Shape.Equal(want[1:]):
	case len(t.Shape) == len(want) && t.Shape[1:].Equal(want[1:]):
		n = t.Shape[0]
	default:
		n = 0
	}
	if n == 0 || !t.DType.IsFloat() {
		return fmt.Errorf("%s: the data is %s, the model wants %s, or N examples of this shape", path, t.Type, s.o.Input)
	}
	labels := make([]int, n)
	for i := range labels {
		labels[i] = label
	}
	beside := strings.TrimSuffix(path, filepath.Ext(path)) + labelsSuffix
	if _, err := os.Stat(beside); err == nil && label < 0 {
		l, err := npy.Read(beside)
		if err != nil {
			return err
		}
		if !l.DType.IsInt() || l.Shape.Len() != n {
			return fmt.Errorf("%s: the data is %s, want a number for each of the %d examples in %s", beside, l.Type, n, path)
		}
		labels = l.Ints()
	}
	if t.DType != ir.Float32 {
		t = ir.FromFloat64s(ir.Type{DType: ir.Float32, Shape: t.Shape}, t.Float64s())
	}
	for i := range n {
		name := path
		if n > 1 {
			name = fmt.Sprintf("%s, example %d", path, i)
		}
		s.items = append(s.items, item{name: name, label: labels[i], array: t, row: i})
	}
	return nil
}

// Len returns the number of examples.
func (s *Set) Len() int { return len(s.items) }

// Label returns the class of example i, or -1 if it is unknown.
func (s *Set) Label(i int) int { return s.items[i].label }

// Name returns the file of example i, for messages.
func (s *Set) Name(i int) string { return s.items[i].name }

// Labelled reports whether all examples have labels.
func (s *Set) Labelled() bool {
	return !slices.ContainsFunc(s.items, func(it item) bool { return it.label < 0 })
}

// CheckLabels returns an error if a label is not below the number of classes.
func (s *Set) CheckLabels(classes int) error {
	for _, it := range s.items {
		if it.label >= classes {
			return fmt.Errorf("%s has the label %d, the model scores %d classes", it.name, it.label, classes)
		}
	}
	return nil
}

// Input returns example i as the network's input.
func (s *Set) Input(i int) (*ir.Tensor, error) {
	if t := s.cache[i]; t != nil {
		return t, nil
	}
	it := s.items[i]
	t := ir.NewTensor(s.o.Input)
	dst := t.Float32s()
	if it.array != nil {
		copy(dst, it.array.Float32s()[it.row*len(dst):])
		return t, nil
	}
	if s.o.Apply == nil {
		return nil, fmt.Errorf("%s cannot be an input: %w", it.name, s.o.Why)
	}
	img, err := it.read()
	if err != nil {
		return nil, err
	}
	if err := s.o.Apply(dst, img); err != nil {
		return nil, fmt.Errorf("%s: %w", it.name, err)
	}
	if s.cached += t.Type.Bytes(); s.cached <= maxCached {
		s.cache[i] = t
	}
	return t, nil
}

// Sample returns a set with at most n of the examples, evenly spaced, or all if n is 0.
func (s *Set) Sample(n int) *Set {
	if n <= 0 || n >= len(s.items) {
		return s
	}
	part := &Set{o: s.o, Classes: s.Classes, cache: map[int]*ir.Tensor{}}
	for i := range n {
		part.items = append(part.items, s.items[i*len(s.items)/n])
	}
	return part
}
