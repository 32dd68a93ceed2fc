package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/golang"
	"modelc/runtime/kernel"
)

// weightsFlag is --weights: the place of a package's weights and their format.
type weightsFlag struct {
	words   []string
	sidecar bool
	format  kernel.Format
}

func (f *weightsFlag) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.words, "weights", []string{"embed"}, "place and format of the weights, `WHERE,HOW`: embed (in the binary) or file; f32, or half the size as f16 or bf16")
}

// parse reads the words of the flag, at most one of each kind.
func (f *weightsFlag) parse() error {
	var where, how string
	for _, w := range f.words {
		kind := &how
		switch w {
		case "embed", "file":
			kind, f.sidecar = &where, w == "file"
		case "f32":
			f.format = kernel.F32
		case "f16":
			f.format = kernel.F16
		case "bf16":
			f.format = kernel.BF16
		default:
			return usageError{fmt.Errorf("--weights %q: want embed or file, and f32, f16 or bf16", w)}
		}
		if *kind != "" && *kind != w {
			return usageError{fmt.Errorf("--weights %s: %s or %s?", strings.Join(f.words, ","), *kind, w)}
		}
		*kind = w
	}
	return nil
}

// recorded returns the flag for the header of a package.
func (f *weightsFlag) recorded() []string {
	var words []string
	if f.sidecar {
		words = append(words, "file")
	}
	if f.format != kernel.F32 {
		words = append(words, f.format.String())
	}
	if words == nil {
		return nil
	}
	return []string{"--weights", strings.Join(words, ",")}
}

// packageFlags are the flags that change a package. The keys of modelc.json are
// their names, and the headers of packages record them.
type packageFlags struct {
	model        modelFlags
	pictures     pictureFlags
	weights      weightsFlag
	quantize     bool
	calibrate    quantizeFlags
	output, name string
	runtime      string
	standalone   bool
	target       targetFlag
}

// targetFlag is --target and --precision: the machine to compile for, besides the CPU.
type targetFlag struct{ name, precision string }

func (f *targetFlag) add(c *cobra.Command, what string) {
	c.Flags().StringVar(&f.name, "target", "cpu", "`MACHINE`: "+what)
	f.addPrecision(c)
}

func (f *targetFlag) addPrecision(c *cobra.Command) {
	c.Flags().StringVar(&f.precision, "precision", "f32", "precision `P` of products on the GPU: f32, or tf32 or f16 on tensor cores")
}

// config returns the options of a GPU.
func (f *targetFlag) config() (cfg cuda.Config, err error) {
	if err = cfg.Precision.UnmarshalText([]byte(f.precision)); err != nil {
		err = usageError{fmt.Errorf("--precision %q: want f32, tf32 or f16", f.precision)}
	}
	return cfg, err
}

// set sets the option of the machine.
func (f *targetFlag) set(o *modelc.Options) error {
	cfg, err := f.config()
	if err != nil {
		return err
	}
	switch f.name {
	case "cpu":
		if cfg.Precision != cuda.Float32 {
			return usageError{errors.New("--precision is about GPUs: add --target cuda")}
		}
	case "cuda":
		o.CUDA = &cfg
	default:
		return usageError{fmt.Errorf("--target %q: want cpu or cuda", f.name)}
	}
	return nil
}

func (f *packageFlags) add(c *cobra.Command) {
	f.model.several = true
	f.model.add(c)
	f.pictures.add(c, false)
	f.weights.add(c)
	fl := c.Flags()
	fl.StringVarP(&f.output, "output", "o", "", "folder `DIR` of the package")
	fl.StringVar(&f.name, "package", "", "`NAME` of the package; by default the name of the package in the folder, or a name made from the folder's name")
	fl.BoolVar(&f.standalone, "standalone", false, "copy the part of the runtime that the package uses, so that it needs no other module")
	f.target.add(c, "cpu, or cuda to add code for an NVIDIA GPU to the package (docs/cuda.md)")
	fl.StringVar(&f.runtime, "runtime", "", "copy the runtime to the folder `DIR`, for several packages to share")
	fl.BoolVar(&f.quantize, "quantize", false, "quantise the model to 8 bits first, calibrated on --calibrate PATH; modelc quantize --help describes the flags")
	group(c, ofIntegers, "quantize")
	f.calibrate.add(c)
}

// compile compiles a model and returns the options of its package. The caller
// must close the model.
func (f *packageFlags) compile(c *cobra.Command, model string) (*modelc.Compiled, modelc.PackageOptions, error) {
	p := modelc.PackageOptions{Package: f.name, Standalone: f.standalone, SharedRuntime: f.runtime}
	if err := f.weights.parse(); err != nil {
		return nil, p, err
	}
	p.Sidecar = f.weights.sidecar
	if f.standalone && f.runtime != "" {
		return nil, p, usageError{errors.New("--standalone copies a runtime for one package, --runtime one to share: choose one of them")}
	}
	o, err := f.model.options(c)
	if err != nil {
		return nil, p, err
	}
	if err := f.target.set(&o); err != nil {
		return nil, p, err
	}
	o.Weights = f.weights.format
	o.Flags = append(o.Flags, f.weights.recorded()...)
	if o.CUDA != nil {
		o.Flags = append(o.Flags, "--target", f.target.name)
		if o.CUDA.Precision != cuda.Float32 {
			o.Flags = append(o.Flags, "--precision", f.target.precision)
		}
	}
	if f.standalone {
		o.Flags = append(o.Flags, "--standalone")
	}
	if f.runtime != "" {
		o.Flags = append(o.Flags, "--runtime", withoutFolder("runtime", f.runtime))
	}
	recorded := f.pictures.recorded(c)
	if len(recorded) > 0 && f.pictures.mode == "" {
		return nil, p, usageError{fmt.Errorf("%s is about images: add --preprocess MODE", recorded[0])}
	}
	o.Flags = append(o.Flags, recorded...)
	m, err := f.model8(c, model, o)
	if err != nil {
		return nil, p, err
	}
	if f.pictures.mode != "" {
		pre, err := f.pictures.preprocess(c, m)
		if err == nil {
			p.Preprocess = &pre
			p.Labels, err = f.pictures.names(m)
		}
		if err != nil {
			return nil, p, errors.Join(err, m.Close())
		}
	}
	return m, p, nil
}

// model8 compiles a model, which it quantises first if the flags require it.
func (f *packageFlags) model8(c *cobra.Command, model string, o modelc.Options) (*modelc.Compiled, error) {
	recorded := f.calibrate.recorded(c)
	if !f.quantize {
		if len(recorded) > 0 {
			return nil, usageError{fmt.Errorf("%s is about quantisation: add --quantize", recorded[0])}
		}
		return modelc.Compile(model, o)
	}
	if len(o.Batches) > 0 {
		return nil, usageError{errors.New("--quantize and --batch: write the quantised model with modelc quantize, and compile it with --batch")}
	}
	if _, err := f.calibrate.options(c); err != nil {
		return nil, err
	}
	float := o
	float.Tuning = nil // that of the quantised model
	m, err := modelc.Compile(model, float)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	q, err := f.calibrate.quantize(c, m, &f.pictures)
	if err != nil {
		return nil, err
	}
	o.Flags = append(append(o.Flags, "--quantize"), recorded...)
	return q.Compile(o)
}

// takeFlags sets the flags of c that the header of the package in dir records
// and the command line does not set.
func takeFlags(c *cobra.Command, dir string, h golang.Header) error {
	var given []string
	c.Flags().Visit(func(f *pflag.Flag) { given = append(given, f.Name) })
	read := &cobra.Command{}
	new(packageFlags).add(read)
	var unknown []string
	err := read.Flags().ParseAll(h.Flags, func(f *pflag.Flag, value string) error {
		if slices.Contains(given, f.Name) || c.Flags().Lookup(f.Name) == nil {
			return nil
		}
		if _, path := pathIn(f.Name, value); path != "" {
			unknown = append(unknown, "--"+f.Name+" "+value)
			return nil
		}
		return c.Flags().Set(f.Name, value)
	})
	if err != nil {
		return fmt.Errorf("%s was compiled with flags that modelc %s does not have: %w", dir, modelc.Version, err)
	}
	if len(unknown) > 0 {
		return usageError{fmt.Errorf("%s was compiled with %s: repeat the flag with its path, which headers do not record", dir, strings.Join(unknown, " "))}
	}
	return nil
}
