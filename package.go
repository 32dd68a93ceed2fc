package modelc

import (
	"errors"
	"path/filepath"
	"strings"

	"modelc/backend/golang"
)

// The maximum error that generated tests accept, relative to the largest output.
const (
	tolerance      = 1e-4
	exactTolerance = 2e-6
)

// WritePackage writes the package to the folder dir, which may hold an earlier
// version of the package. If WritePackage returns an error, dir is unchanged.
func (c *Compiled) WritePackage(dir string, o PackageOptions) (*Summary, error) {
	t, err := c.target(dir, o)
	if err != nil {
		return nil, err
	}
	s := c.summary()
	s.Dir, s.Package, s.Runtime, s.Rounding = t.dir, t.options.Package, t.options.Runtime, t.options.Rounding
	s.Notes = append(s.Notes, t.notes...)
	if g := t.options.CUDA; g != nil {
		s.CUDA = &CUDASummary{len(c.CUDA.Kernels), c.CUDA.Arena, len(c.CUDA.Weights), g.Rounding}
	}
	if p := t.options.Pictures; p != nil {
		fit, levels := golang.Describe(p.Preprocess)
		s.Predict = fit + "; " + levels
	}
	copied := map[string]golang.FileSize{}
	if t.shared != nil {
		if copied, err = golang.WriteRuntime(t.sharedDir, t.shared, t.options.Runtime, Version); err != nil {
			return nil, err
		}
	}
	files, err := golang.Write(t.dir, c.Program, t.options)
	if err != nil {
		return nil, err
	}
	for name, size := range files {
		s.FileBytes[name] = size.Bytes
		if strings.HasPrefix(name, golang.RuntimeDir+"/") {
			copied[name] = size
		}
	}
	if len(copied) > 0 {
		s.Copied = &Copied{Shared: t.shared != nil}
		for _, size := range copied {
			s.Copied.Files++
			s.Copied.Lines += size.Lines
			s.Copied.Bytes += size.Bytes
		}
	}
	return s, nil
}

// DiffPackage returns the files in which the package in dir, and its shared
// runtime, differ from those that [Compiled.WritePackage] would write. Their paths
// begin with dir or o.SharedRuntime. It returns nil if no file differs.
// DiffPackage does not write to these folders.
func (c *Compiled) DiffPackage(dir string, o PackageOptions) ([]golang.Difference, error) {
	t, err := c.target(dir, o)
	if err != nil {
		return nil, err
	}
	d, err := golang.Compare(t.dir, c.Program, t.options)
	if err != nil {
		return nil, err
	}
	all := below(dir, d)
	if t.shared != nil {
		if d, err = golang.CompareRuntime(t.sharedDir, t.shared, t.options.Runtime, Version); err != nil {
			return nil, err
		}
		all = append(all, below(o.SharedRuntime, d)...)
	}
	return all, nil
}

// below joins dir to the paths of the files in list.
func below(dir string, list []golang.Difference) []golang.Difference {
	for i := range list {
		list[i].File = filepath.Join(dir, filepath.FromSlash(list[i].File))
	}
	return list
}

// WriteWeights writes the weights of a retrained model to the file at path, for
// the package in dir. The model must be compiled with the options of the package.
// WriteWeights returns an error if the package computes another graph.
func (c *Compiled) WriteWeights(path, dir string) error {
	return golang.WriteWeights(path, dir, c.Program, c.weightsProgress)
}

// target returns the description of the package to write to dir.
func (c *Compiled) target(dir string, o PackageOptions) (*target, error) {
	t := &target{options: golang.Options{
		Header: golang.Header{Version: Version, SHA256: c.Model.SHA256, Flags: c.Options.Flags},
		Model:  c.Graph.Name, Format: c.Model.Format, Sidecar: o.Sidecar, Tolerance: tolerance, Examples: c.batch,
		Progress: c.weightsProgress,
	}}
	for _, m := range c.more {
		t.options.More = append(t.options.More, golang.Batch{Examples: m.batch, Program: m.Program})
	}
	if c.Options.Exact {
		t.options.Tolerance = exactTolerance
	}
	var err error
	if t.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := t.setRuntime(o); err != nil {
		return nil, err
	}
	if c.CUDA != nil {
		if err := c.setCUDA(t); err != nil {
			return nil, err
		}
	}
	if o.Preprocess != nil {
		if t.options.Pictures, err = c.pictures(o); err != nil {
			return nil, err
		}
	} else if o.Labels != nil {
		return nil, errors.New("PackageOptions.Labels needs Preprocess: Labels are the classes of Predict, which takes images")
	}
	return t, c.golden(&t.options)
}

// weightsProgress reports the progress of writing the weights file.
func (c *Compiled) weightsProgress(done, total int) error {
	return c.Options.Progress.Update("weights", done, total)
}
