package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda/launcher"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/golang"
	"modelc/internal/columns"
	"modelc/internal/machine"
	"modelc/internal/units"
	"modelc/runtime"
)

// diagnosis is the result of the command.
type diagnosis struct {
	Modelc   string   `json:"modelc"`
	System   string   `json:"system"` // linux/amd64
	CPU      cpuState `json:"cpu"`
	Measured measured `json:"measured"`
	Go       goState  `json:"go"`
	Cache    cache    `json:"cache"`
	CUDA     gpuState `json:"cuda"`
	Advice   []advice `json:"advice"`
}

type cpuState struct {
	Name       string   `json:"name"`
	Features   []string `json:"features"` // features that kernels could use
	L2         int      `json:"l2_bytes"` // 0 if it is unknown
	L3         int      `json:"l3_bytes"`
	Tier       string   `json:"tier"`  // in use
	Tiers      []string `json:"tiers"` // tiers of this machine, the best last
	Faster     []string `json:"-"`     // faster tiers that other machines have
	Forced     string   `json:"modelc_cpu,omitempty"`
	CPUs       int      `json:"cpus"` // number of CPUs that the process may run on
	GOMAXPROCS int      `json:"gomaxprocs"`
	Quota      float64  `json:"quota"` // number of CPUs that the container allows; 0 for no limit
}

// measured has the rates of one core, and of GOMAXPROCS goroutines together.
type measured struct {
	Peak         float64 `json:"peak_gflops"`      // 0 if the tier has no measurement
	Pairs        float64 `json:"bf16_peak_gflops"` // of products of bfloat16, 0 if the tier has no instruction for them
	PeakAll      float64 `json:"peak_gflops_all"`
	Bandwidth    float64 `json:"read_gb_per_s"`
	BandwidthAll float64 `json:"read_gb_per_s_all"`
}

type goState struct {
	Path    string  `json:"path"`
	Version string  `json:"version"`
	Build   float64 `json:"build_ms"` // time to build an empty program
	Error   string  `json:"error,omitempty"`
}

// gpuState is what --target cuda and --engine cuda need.
type gpuState struct {
	Driver  string            `json:"driver"` // CUDA version that the driver supports, or ""
	Devices []launcher.Device `json:"devices"`
	NoGPU   string            `json:"no_gpu,omitempty"` // why there is no device
	NVRTC   string            `json:"nvrtc"`            // version and path, or ""
	NoNVRTC string            `json:"no_nvrtc,omitempty"`
	Ptxas   string            `json:"ptxas"` // version and path, or ""
}

// cache is the folder in which run and verify build programs.
type cache struct {
	Dir      string `json:"dir"`
	Builds   int    `json:"builds"`
	Bytes    int64  `json:"bytes"`
	Writable bool   `json:"writable"`
	Error    string `json:"error,omitempty"`
}

// advice is a change that the user should make.
type advice struct {
	Problem bool   `json:"problem"` // whether commands fail; otherwise they are slow
	Text    string `json:"text"`
}

func doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine: CPU, Go toolchain, cache, measured limits",
		Long: `Check this machine. Print the features of the CPU, the kernels that it runs, the
number of CPUs that the process may use, whether the Go toolchain builds packages,
whether the cache can be written, the measured rates of arithmetic and of reading
memory, the GPU with its driver, and the compiler for --target cuda. Problems that make commands slow are printed too. The exit status
is 1 if a command cannot work.`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			report := progressOf(c)
			d := &diagnosis{Modelc: modelc.Version, System: goruntime.GOOS + "/" + goruntime.GOARCH, CPU: lookAtCPU()}
			for i, step := range []struct {
				name string
				do   func()
			}{
				{"arithmetic", func() { d.Measured.arithmetic(d.CPU.GOMAXPROCS) }},
				{"memory", func() { d.Measured.memory(d.CPU) }},
				{"go build", func() { d.Go = lookAtGo(c.Context()) }},
				{"cache", func() { d.Cache = lookAtCache() }},
				{"CUDA", func() { d.CUDA = lookAtCUDA() }},
			} {
				if err := report(step.name, i, 5); err != nil {
					return err
				}
				step.do()
			}
			d.Advice = d.advise()
			if asJSON {
				if err := printJSON(c.OutOrStdout(), d); err != nil {
					return err
				}
			} else if err := prose(c, func(w io.Writer) error { return d.print(w, terminalOf(c)) }); err != nil {
				return err
			}
			if slices.ContainsFunc(d.Advice, func(a advice) bool { return a.Problem }) {
				return errReported
			}
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// shown are the CPU features that are printed.
var shown = []cpuid.FeatureID{
	cpuid.AVX, cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVXVNNI, cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512VNNI, cpuid.AVX512BF16, cpuid.AMXTILE,
	cpuid.ASIMD, cpuid.ASIMDHP, cpuid.ASIMDDP, cpuid.SVE,
}

func lookAtCPU() cpuState {
	s := cpuState{
		Name: cpuid.CPU.BrandName, L2: max(0, cpuid.CPU.Cache.L2), L3: max(0, cpuid.CPU.Cache.L3), Tier: runtime.Tier(), Tiers: runtime.Tiers(), Faster: runtime.FasterTiers(), Forced: os.Getenv("MODELC_CPU"),
		CPUs: goruntime.NumCPU(), GOMAXPROCS: goruntime.GOMAXPROCS(0), Quota: machine.Quota(os.DirFS("/")),
	}
	for _, f := range shown {
		if cpuid.CPU.Supports(f) {
			s.Features = append(s.Features, f.String())
		}
	}
	return s
}

// why returns the reason why the tier is used.
func (s *cpuState) why() string {
	best := s.Tiers[len(s.Tiers)-1]
	switch {
	case s.Tier != best:
		return fmt.Sprintf("MODELC_CPU selects it; this machine has %s", best)
	case len(s.Faster) > 0:
		return "the fastest on this machine; " + strings.Join(s.Faster, ", ")
	}
	return "the fastest kernels"
}

// arithmetic measures the rate of multiply-adds.
func (m *measured) arithmetic(threads int) {
	m.Peak, m.Pairs = runtime.PeakGFLOPS(), runtime.PairGFLOPS()
	all := make([]float64, threads)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = runtime.PeakGFLOPS() })
	}
	wg.Wait()
	for _, x := range all {
		m.PeakAll += x
	}
}

// memory measures the rate of reading.
func (m *measured) memory(s cpuState) {
	bytes := min(max(4*s.L3, 64<<20), 512<<20)
	m.Bandwidth = machine.ReadBandwidth(1, bytes)
	m.BandwidthAll = machine.ReadBandwidth(s.GOMAXPROCS, bytes)
}

// lookAtGo builds an empty program with the go command that run and verify use.
func lookAtGo(ctx context.Context) (s goState) {
	fail := func(err error, output []byte) goState {
		s.Error = strings.TrimSpace(fmt.Sprintf("%v: %.1000s", err, output))
		return s
	}
	var err error
	if s.Path, err = exec.LookPath("go"); err != nil {
		s.Error = err.Error()
		return s
	}
	dir, err := os.MkdirTemp("", "modelc-doctor")
	if err != nil {
		return fail(err, nil)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"go.mod": "module doctor\n\ngo " + golang.MinimumGo + "\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fail(err, nil)
		}
	}
	tool := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, s.Path, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "CGO_ENABLED=0")
		return cmd.CombinedOutput()
	}
	out, err := tool("env", "-json", "GOVERSION")
	if err != nil {
		return fail(err, out)
	}
	var env struct{ GOVERSION string }
	if err := json.Unmarshal(out, &env); err != nil {
		return fail(err, out)
	}
	s.Version = env.GOVERSION
	start := time.Now()
	if out, err := tool("build", "-o", "doctor.exe", "."); err != nil {
		return fail(err, out)
	}
	s.Build = float64(time.Since(start).Microseconds()) / 1e3
	return s
}

// lookAtCache measures the cache and tries to write to it.
func lookAtCache() (s cache) {
	var err error
	if s.Dir, err = cacheDir(); err != nil {
		s.Error = err.Error()
		return s
	}
	builds, _ := filepath.Glob(filepath.Join(s.Dir, "*", "*.exe"))
	s.Builds = len(builds)
	filepath.WalkDir(s.Dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if i, err := e.Info(); err == nil {
				s.Bytes += i.Size()
			}
		}
		return nil
	})
	var tmp string
	if tmp, err = os.MkdirTemp(s.Dir, "doctor"); err == nil {
		err = os.Remove(tmp)
	}
	if err != nil {
		s.Error = err.Error()
	}
	s.Writable = err == nil
	return s
}

// lookAtCUDA looks for a GPU, and for the compiler of its kernels.
func lookAtCUDA() (s gpuState) {
	var err error
	if s.Driver, s.Devices, err = launcher.Devices(""); err != nil {
		s.NoGPU = err.Error()
	}
	if c, err := nvrtc.Load(); err != nil {
		s.NoNVRTC = err.Error()
	} else {
		s.NVRTC = c.Version + ", " + c.Path
	}
	if a, err := nvrtc.FindAssembler(); err == nil { // only inspect shows its report
		s.Ptxas = a.Version + ", " + a.Path
	}
	return s
}

// advise returns the changes that the user should make.
func (d *diagnosis) advise() []advice {
	list := []advice{} // [] in JSON, not null
	add := func(problem bool, format string, args ...any) {
		list = append(list, advice{problem, fmt.Sprintf(format, args...)})
	}
	c := d.CPU
	if best := c.Tiers[len(c.Tiers)-1]; c.Tier != best {
		add(false, "MODELC_CPU=%s disables the faster %s kernels: unset it", c.Forced, best)
	} else if c.Forced != "" && c.Forced != c.Tier {
		add(false, "MODELC_CPU=%s is ignored: this machine has %s", c.Forced, strings.Join(c.Tiers, ", "))
	}
	if c.Tiers[len(c.Tiers)-1] == "generic" {
		add(false, "the kernels in Go are correct but slow: use a CPU with faster ones (%s)", strings.Join(c.Faster, ", "))
	}
	if c.Quota > 0 && float64(c.GOMAXPROCS) > math.Ceil(c.Quota) {
		add(false, "GOMAXPROCS is %d, but the container may use %.3g CPUs, so the system stops it for a part of every period: set GOMAXPROCS=%.0f", c.GOMAXPROCS, c.Quota, math.Ceil(c.Quota))
	}
	useful := c.CPUs
	if c.Quota > 0 {
		useful = min(useful, int(math.Ceil(c.Quota)))
	}
	if c.GOMAXPROCS < useful {
		add(false, "GOMAXPROCS is %d, but there are %d CPUs: unset it to use all", c.GOMAXPROCS, useful)
	}
	if m := d.Measured; c.GOMAXPROCS > 1 && m.PeakAll < 0.6*m.Peak*float64(c.GOMAXPROCS) {
		add(false, "%d goroutines do only %.1f times the arithmetic of one, because other programs run or CPUs share cores: try fewer threads", c.GOMAXPROCS, m.PeakAll/m.Peak)
	}
	switch {
	case d.Go.Path == "":
		add(true, "no Go toolchain in PATH: install Go "+golang.MinimumGo+" or later from https://go.dev/dl, or give run and verify --engine inproc")
	case d.Go.Error != "":
		add(true, "%s does not build a program: %s", d.Go.Path, d.Go.Error)
	}
	if !d.Cache.Writable {
		add(true, "the cache cannot be written (%s): set XDG_CACHE_HOME to another folder, or give run and verify --engine inproc", d.Cache.Error)
	}
	return list
}

func (d *diagnosis) print(out io.Writer, t *terminal) error {
	table := columns.New("ll")
	row := func(name, format string, args ...any) { table.Row(name, fmt.Sprintf(format, args...)) }
	row("modelc", "%s, %s", d.Modelc, d.System)
	row("CPU", "%s%s", orUnknown(d.CPU.Name), caches(d.CPU))
	row("features", "%s", orUnknown(strings.Join(d.CPU.Features, " ")))
	row("kernels", "%s: %s", d.CPU.Tier, d.CPU.why())
	limit := "no limit by a container"
	if d.CPU.Quota > 0 {
		limit = fmt.Sprintf("%.3g allowed by the container", d.CPU.Quota)
	}
	row("CPUs", "%d, GOMAXPROCS %d, %s", d.CPU.CPUs, d.CPU.GOMAXPROCS, limit)
	m := d.Measured
	if m.Peak > 0 {
		row("arithmetic", "%.1f GFLOP/s a core, %.1f together", m.Peak, m.PeakAll)
	}
	if m.Pairs > 0 {
		row("bfloat16", "%.1f GFLOP/s a core", m.Pairs)
	}
	row("memory", "%.1f GB/s read by a core, %.1f together", m.Bandwidth, m.BandwidthAll)
	switch g := d.Go; {
	case g.Path == "":
		row("Go", "not found")
	case g.Error != "":
		row("Go", "%s %s, does not build", g.Version, g.Path)
	default:
		row("Go", "%s %s, builds a program in %.1f s", g.Version, g.Path, g.Build/1e3)
	}
	state := "can be written"
	if !d.Cache.Writable {
		state = "cannot be written"
	}
	row("cache", "%s: %d builds, %s, %s", orUnknown(d.Cache.Dir), d.Cache.Builds, units.Bytes(d.Cache.Bytes), state)
	if len(d.CUDA.Devices) == 0 {
		row("GPU", "none: %s", d.CUDA.NoGPU)
	}
	for i, g := range d.CUDA.Devices {
		row("GPU", "%d: %s, compute capability %d.%d, %s; the driver supports CUDA %s", i, g.Name, g.Compute/10, g.Compute%10, units.Bytes(int64(g.Memory)), d.CUDA.Driver)
	}
	row("NVRTC", "%s", cmp.Or(d.CUDA.NVRTC, "none: "+d.CUDA.NoNVRTC))
	row("ptxas", "%s", cmp.Or(d.CUDA.Ptxas, "none; only inspect --target cuda uses it"))
	if err := table.Print(out, ""); err != nil {
		return err
	}
	if len(d.Advice) == 0 {
		_, err := fmt.Fprintln(out, t.paint(t.out, good, "nothing is wrong"))
		return err
	}
	for _, a := range d.Advice {
		word := t.paint(t.out, warn, "slow:")
		if a.Problem {
			word = t.paint(t.out, bad, "wrong:")
		}
		if _, err := fmt.Fprintln(out, word, a.Text); err != nil {
			return err
		}
	}
	return nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func caches(s cpuState) string {
	text := ""
	if s.L2 > 0 {
		text += ", L2 " + units.Bytes(s.L2)
	}
	if s.L3 > 0 {
		text += ", L3 " + units.Bytes(s.L3)
	}
	return text
}
