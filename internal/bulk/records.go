package bulk

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"modelc/internal/files"
)

// A Record is the result for a file: Columns for CSV, and any value for JSON. One of them
// has the path of the file.
type Record struct {
	JSON    any      // a struct with the fields "file", and "error" if the file has failed
	Columns []string // the path, the error, and others
}

// A Format writes and reads records.
type Format struct {
	Name   string   // "jsonl" or "csv"
	Header []string // of CSV: "file", "error" and others
}

// FormatOf returns the name of the format of a file of records by its extension.
func FormatOf(path string) (string, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jsonl", ".ndjson":
		return "jsonl", nil
	case ".csv":
		return "csv", nil
	}
	return "", fmt.Errorf("%q: want a FILE.jsonl or FILE.csv", path)
}

// line returns a record as a line, or lines, with the newline.
func (f *Format) line(r Record) ([]byte, error) {
	var b bytes.Buffer
	if f.Name == "csv" {
		w := csv.NewWriter(&b)
		w.Write(r.Columns)
		w.Flush()
		return b.Bytes(), w.Error()
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(r.JSON)
	return b.Bytes(), err
}

// Writer writes records. Each record reaches the file before the next one is made.
type Writer struct {
	f    *Format
	w    io.Writer
	file *os.File // nil if w is not a file of this package
}

// NewWriter returns a writer of records to w. It writes the header of CSV.
func NewWriter(w io.Writer, f *Format) (*Writer, error) {
	if f.Name == "csv" {
		b, err := f.line(Record{Columns: f.Header})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(b); err != nil {
			return nil, err
		}
	}
	return &Writer{f: f, w: w}, nil
}

// Create returns a writer of records to a new file. If resume is set and the file exists, its
// records without an error stay, in their order, and done has their files. Records with an
// error and a last record that is cut off are left out, so that their files are tried again.
// It is an error if the file exists and resume is not set, or if its records have another
// form.
func Create(path string, f *Format, resume bool) (w *Writer, done map[string]bool, err error) {
	var keep [][]byte
	done = map[string]bool{}
	old, err := files.Read(path, maxRecords)
	switch {
	case err == nil && !resume:
		return nil, nil, fmt.Errorf("%s exists: remove it, choose another file, or continue it with --resume", path)
	case err == nil:
		if keep, done, err = f.read(old); err != nil {
			return nil, nil, fmt.Errorf("%s cannot be continued: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	err = files.Write(path, func(file *os.File) error {
		w, err := NewWriter(file, f)
		if err != nil {
			return err
		}
		for _, k := range keep {
			if _, err := w.w.Write(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, nil, err
	}
	return &Writer{f, file, file}, done, nil
}

// maxRecords is the maximum size of a file of records that is continued, in bytes.
const maxRecords = 1 << 32

// read returns the lines of the records without an error, and their files.
func (f *Format) read(b []byte) (keep [][]byte, done map[string]bool, err error) {
	done = map[string]bool{}
	if f.Name == "csv" {
		r := csv.NewReader(bytes.NewReader(b))
		header, err := r.Read()
		if err != nil || !slices.Equal(header, f.Header) {
			return nil, nil, fmt.Errorf("its columns are %q, not %q", header, f.Header)
		}
		for {
			start := r.InputOffset()
			row, err := r.Read()
			end := r.InputOffset()
			if err == io.EOF || err != nil && end == int64(len(b)) {
				return keep, done, nil // the last row is cut off
			}
			if err != nil {
				return nil, nil, err
			}
			if b[end-1] != '\n' {
				return keep, done, nil
			}
			if row[1] == "" {
				keep, done[row[0]] = append(keep, b[start:end]), true
			}
		}
	}
	for line := range bytes.Lines(b) {
		var r struct{ File, Error string }
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if err := json.Unmarshal(line, &r); err != nil || r.File == "" {
			return nil, nil, fmt.Errorf("it has the line %.60q, which is not a record", line)
		}
		if r.Error == "" {
			keep, done[r.File] = append(keep, line), true
		}
	}
	return keep, done, nil
}

// Write writes a record.
func (w *Writer) Write(r Record) error {
	b, err := w.f.line(r)
	if err != nil {
		return err
	}
	_, err = w.w.Write(b)
	return err
}

// Close closes the file.
func (w *Writer) Close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}
