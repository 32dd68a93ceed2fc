// Command kernels runs the benchmarks of all kernels and shapes. It writes the
// results to a file or compares them with a file:
//
//	go run ./kernels -o kernels/avx2.tsv
//	go run ./kernels -compare kernels/avx2.tsv
//
// A result is the kernel's rate in percent of the multiply-add peak measured beside
// it. This ratio is equal for faster and slower machines of the same kind. Of several
// blockings of a Winograd convolution, the command uses the fastest. The exit status
// is 1 if a kernel lost more than the tolerance.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"modelc/internal/modpath"
)

// standard matches the benchmarks that the files contain: kernels, shapes,
// blockings.
const standard = `^Benchmark(Conv|ConvPrologue|Strassen|WinogradStrided|Five|Dilated|ConvFirst|Dense|Depthwise)$|^BenchmarkWinograd$/_F[24]$/og=2$`

func main() {
	bench := flag.String("bench", standard, "run the benchmarks that match this `expression`, as in go test")
	count := flag.Int("count", 3, "number of runs of each benchmark; the best is used")
	output := flag.String("o", "", "write the results to this `file`")
	compare := flag.String("compare", "", "compare with the results in this `file`")
	tolerance := flag.Float64("tolerance", 0.15, "maximum relative loss")
	flag.Parse()
	if err := run(*bench, *count, *output, *compare, *tolerance); err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

func run(bench string, count int, output, compare string, tolerance float64) error {
	var before map[string]float64
	if compare != "" {
		text, err := os.ReadFile(compare)
		if err != nil {
			return err
		}
		if before, err = read(bytes.NewReader(text)); err != nil {
			return fmt.Errorf("%s: %w", compare, err)
		}
	}
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", bench, "-benchtime", "500ms", "-count", strconv.Itoa(count), "-timeout", "1h", modpath.Package("runtime/kernel"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	now := parse(string(out))
	if len(now) == 0 {
		return fmt.Errorf("no benchmark matches %q, or this tier has no measured peak", bench)
	}
	if compare == "" {
		if output == "" {
			return write(os.Stdout, now)
		}
		f, err := os.Create(output)
		if err != nil {
			return err
		}
		defer f.Close()
		return write(f, now)
	}
	lost := 0
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, ok := before[name]
		if !ok {
			fmt.Printf("%s\t%.1f %%\tnew\n", name, now[name])
			continue
		}
		mark := ""
		if now[name] < was*(1-tolerance) {
			mark = "\tLOST"
			lost++
		}
		fmt.Printf("%s\t%.1f %%\twas %.1f %%\t× %.2f%s\n", name, now[name], was, now[name]/was, mark)
	}
	if lost > 0 {
		return fmt.Errorf("%d of %d kernels lost more than %.0f %% of their rate", lost, len(now), 100*tolerance)
	}
	return nil
}

// suffix matches what go test appends to a name: the blocking and the number of
// processors.
var suffix = regexp.MustCompile(`(/T=\d+,og=\d+)?(-\d+)?$`)

// parse returns the percentages of the peak by kernel and shape.
func parse(out string) map[string]float64 {
	best := map[string]float64{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := suffix.ReplaceAllString(strings.TrimPrefix(f[0], "Benchmark"), "")
		for i := 3; i < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i-1], 64); err == nil && f[i] == "%peak" {
				best[name] = max(best[name], v)
			}
		}
	}
	return best
}

func write(w io.Writer, figures map[string]float64) error {
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		if _, err := fmt.Fprintf(w, "%s\t%.1f\n", name, figures[name]); err != nil {
			return err
		}
	}
	return nil
}

func read(r io.Reader) (map[string]float64, error) {
	figures := map[string]float64{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		name, value, _ := strings.Cut(s.Text(), "\t")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, err
		}
		figures[name] = v
	}
	return figures, s.Err()
}
