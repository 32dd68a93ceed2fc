package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"modelc"
	"modelc/internal/files"
	"modelc/internal/plaintext"
)

// job is a package to write or to compare.
type job struct {
	c     *cobra.Command // whose flags are set
	flags *packageFlags
	model string
	entry string // place in a list, file:line:column; empty if there is no list
}

// named adds the job's entry in a list to an error.
func (j job) named(err error) error {
	if j.entry == "" || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", j.entry, err)
}

// write compiles the model and writes its package.
func (j job) write() (*modelc.Summary, error) {
	m, o, err := j.flags.compile(j.c, j.model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.WritePackage(j.flags.output, o)
}

// listFile lists the models of a module; see modelc compile --help.
const listFile = "modelc.json"

// flagsOfList are the flags of the command that do not describe a model. A list
// must not contain them.
var flagsOfList = []string{"file", "json", "quiet", "help"}

// firstChanged returns the name of a flag that is set and describes a model, or ""
// if there is none.
func firstChanged(c *cobra.Command) (name string) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if name == "" && !slices.Contains(flagsOfList, f.Name) {
			name = f.Name
		}
	})
	return name
}

// jobsOf returns the jobs of the command line: the model in args, or the models
// of a list.
func jobsOf(c *cobra.Command, args []string, f *packageFlags, file string) ([]job, error) {
	if len(args) > 0 {
		if file != "" {
			return nil, usageError{fmt.Errorf("-f %s and the model %s: choose one of them", file, args[0])}
		}
		return []job{{c: c, flags: f, model: args[0]}}, nil
	}
	if name := firstChanged(c); name != "" {
		return nil, usageError{fmt.Errorf("--%s without a model: put flags into the list of models", name)}
	}
	if file == "" {
		file = listFile
	}
	return readList(c, file)
}

// readList reads a list of models. It reports all errors at once, with their
// places.
func readList(c *cobra.Command, path string) ([]job, error) {
	text, err := files.Read(path, maxJSON)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path == listFile:
		return nil, usageError{fmt.Errorf("name a model, or list models in %s; see --help", listFile)}
	case err != nil:
		return nil, err
	}
	l := list{path: path, text: text}
	if l.root, err = rootOf(filepath.Dir(path)); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	l.delim(d, '[', "a list of models")
	for l.fatal == nil && d.More() {
		l.model(c, d)
	}
	if l.fatal == nil {
		l.delim(d, ']', "")
	}
	if l.fatal == nil {
		if at := int64(len(text)) - int64(len(bytes.TrimLeft(text[d.InputOffset():], " \t\r\n"))); at < int64(len(text)) {
			l.report(at, errors.New("text after the list"))
		}
	}
	if l.fatal != nil {
		l.failed = append(l.failed, l.fatal)
	}
	if len(l.failed) == 0 && len(l.jobs) == 0 {
		l.report(0, errors.New("no model in the list"))
	}
	return l.jobs, errors.Join(l.failed...)
}

// list is the state of reading a list of models.
type list struct {
	path   string
	root   string // folder that outputs must lie in
	text   []byte
	jobs   []job
	failed []error
	fatal  error // set if the text is not JSON, or not a list of objects
}

// place returns an offset as file:line:column.
func (l *list) place(offset int64) string {
	before := l.text[:min(int(offset), len(l.text))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1
	return fmt.Sprintf("%s:%d:%d", l.path, line, column)
}

func (l *list) at(offset int64, err error) error { return fmt.Errorf("%s: %w", l.place(offset), err) }

func (l *list) report(offset int64, err error) { l.failed = append(l.failed, l.at(offset, err)) }

// next returns the offset of the next token of d.
func (l *list) next(d *json.Decoder) int64 {
	rest := l.text[d.InputOffset():]
	return d.InputOffset() + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,:")))
}

// token reads a token. An error is fatal.
func (l *list) token(d *json.Decoder) json.Token {
	at := l.next(d)
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = errors.New("the list is incomplete")
	}
	if err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = max(0, syntax.Offset-1)
		}
		l.fatal = l.at(at, err)
	}
	return t
}

// delim reads a delimiter. Any other token is fatal.
func (l *list) delim(d *json.Decoder, want json.Delim, what string) {
	at := l.next(d)
	if t := l.token(d); l.fatal == nil && t != want {
		l.fatal = l.at(at, fmt.Errorf("want %s, got %v", what, t))
	}
}

// model reads an object: a model and its flags.
func (l *list) model(parent *cobra.Command, d *json.Decoder) {
	start := l.next(d)
	if l.delim(d, '{', "a model: {\"model\": FILE, \"output\": DIR, …}"); l.fatal != nil {
		return
	}
	c := &cobra.Command{}
	c.SetOut(parent.OutOrStdout())
	c.SetErr(parent.ErrOrStderr())
	c.SetContext(parent.Context())
	j := job{c: c, flags: &packageFlags{}, entry: l.place(start)}
	j.flags.add(c)
	for d.More() {
		at := l.next(d)
		key, ok := l.token(d).(string)
		if !ok {
			return
		}
		var value any
		where := l.next(d)
		if err := d.Decode(&value); err != nil {
			l.fatal = l.at(where, err)
			return
		}
		var err error
		switch flag := c.Flags().Lookup(key); {
		case key == "model":
			j.model, err = text(value)
			j.model = l.below(j.model)
		case flag == nil:
			err = fmt.Errorf("unknown key %q: want model or a flag of modelc compile", key)
			where = at
		case flag.Changed:
			err = fmt.Errorf("%q occurs twice", key)
			where = at
		default:
			err = l.set(c, flag, value)
		}
		if err != nil {
			l.report(where, err)
		}
	}
	if l.token(d); l.fatal != nil { // the closing brace
		return
	}
	for _, k := range []struct{ key, value string }{{"model", j.model}, {"output", j.flags.output}} {
		if k.value == "" {
			l.report(start, fmt.Errorf("the model has no %q", k.key))
		}
	}
	for _, dir := range []string{j.flags.output, j.flags.runtime} {
		if err := l.inside(dir); err != nil {
			l.report(start, err)
		}
	}
	for _, other := range l.jobs {
		if filepath.Clean(other.flags.output) == filepath.Clean(j.flags.output) && j.flags.output != "" {
			l.report(start, fmt.Errorf("two models have the output %s", j.flags.output))
		}
	}
	l.jobs = append(l.jobs, j)
}

// rootOf returns the folder that the outputs of a list in the folder dir must lie in: the
// root of its module, or dir if it lies in none. The path has no symbolic links.
func rootOf(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", err
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return root, nil
		}
		if root == filepath.Dir(root) {
			return dir, nil
		}
	}
}

// inside returns an error if the folder dir, which need not exist, lies outside the root of
// the list. A list comes with a repository, and must not write to other places.
func (l *list) inside(dir string) error {
	if dir == "" {
		return nil
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	exists, rest := path, ""
	for {
		real, err := filepath.EvalSymlinks(exists)
		if err == nil {
			path = filepath.Join(real, rest)
			break
		}
		// A link to a folder that does not exist could lead anywhere.
		if st, err := os.Lstat(exists); err == nil && st.Mode()&fs.ModeSymlink != 0 || exists == filepath.Dir(exists) {
			return fmt.Errorf("%s cannot be followed", exists)
		}
		exists, rest = filepath.Dir(exists), filepath.Join(filepath.Base(exists), rest)
	}
	if rel, err := filepath.Rel(l.root, path); err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("the folder %s lies outside %s: a list writes only to its module; name the model and -o DIR on the command line", dir, l.root)
	}
	return nil
}

// set sets a flag to the value of its key. If the value is a JSON array, it sets
// the flag to each element in turn.
func (l *list) set(c *cobra.Command, flag *pflag.Flag, value any) error {
	values, ok := value.([]any)
	if _, repeated := flag.Value.(pflag.SliceValue); ok && !repeated {
		return fmt.Errorf("%q takes one value, not a list", flag.Name)
	} else if !ok {
		values = []any{value}
	}
	for _, v := range values {
		s, err := text(v)
		if err != nil {
			return fmt.Errorf("%q: %w", flag.Name, err)
		}
		if prefix, path := pathIn(flag.Name, s); path != "" {
			s = prefix + l.below(path)
		}
		if err := c.Flags().Set(flag.Name, s); err != nil {
			return fmt.Errorf("%q: %w", flag.Name, err)
		}
	}
	return nil
}

// below returns a path that is relative to the list's folder, relative to the
// working directory.
func (l *list) below(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(l.path), filepath.FromSlash(path))
}

// text returns a JSON value as the text of a flag.
func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		if plaintext.Name(v) != v {
			return "", fmt.Errorf("%s has characters that cannot be printed", plaintext.Name(v))
		}
		return v, nil
	case bool, json.Number:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("want a string, a number, true or false, got %s", plaintext.Name(strings.TrimSpace(fmt.Sprint(v))))
}
