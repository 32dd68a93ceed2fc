package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// options describes the classifier of photos.
type options struct {
	model      string // file; empty for SqueezeNet with seeded weights
	preprocess string
}

//go:embed page
var page embed.FS

// build writes the page and its programs to dir, which it makes. It runs the go
// command and must therefore run in the folder of this module.
func build(ctx context.Context, dir string, o options) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := "SqueezeNet without training"
	if o.model != "" {
		name = strings.TrimSuffix(filepath.Base(o.model), filepath.Ext(o.model))
	} else {
		o.model = filepath.Join(dir, "squeezenet.onnx")
		if err := command(ctx, nil, "go", "tool", "modelc", "zoo", "squeezenet1.1", "-o", o.model); err != nil {
			return err
		}
		defer os.Remove(o.model)
	}
	if err := command(ctx, nil, "go", "tool", "modelc", "compile", o.model, "-o", "_photo/network", "--preprocess", o.preprocess, "--labels", "imagenet"); err != nil {
		return err
	}
	for program, folder := range map[string]string{"digit.wasm": "./digit", "photo.wasm": "./_photo"} {
		if err := command(ctx, []string{"GOOS=js", "GOARCH=wasm"}, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, program), folder); err != nil {
			return err
		}
	}

	// wasm_exec.js must be of the Go version that built the programs.
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	loader, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return err
	}
	networks, err := json.Marshal(map[string]string{"photo": name})
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"wasm_exec.js": loader, "networks.json": networks} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	files, err := fs.Glob(page, "page/*")
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := page.ReadFile(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program with variables added to its environment. Its output is
// part of the error.
func command(ctx context.Context, env []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
