// Package machine measures the computer that the process runs on, and finds the
// limits of the process.
package machine

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Quota returns the number of CPUs that the control groups of this process
// allow it, or 0 if they set no limit. The smallest limit of the process's group
// and those above it counts, in version 1 or 2. root is the root of the file
// system. Only Linux has control groups.
func Quota(root fs.FS) float64 {
	least := 0.0
	consider := func(quota, period string) {
		q, err1 := strconv.ParseFloat(quota, 64)
		p, err2 := strconv.ParseFloat(period, 64)
		if err1 == nil && err2 == nil && q > 0 && p > 0 && (least == 0 || q/p < least) {
			least = q / p
		}
	}
	read := func(name string) string {
		b, _ := fs.ReadFile(root, name)
		return strings.TrimSpace(string(b))
	}
	for line := range strings.Lines(read("proc/self/cgroup")) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:/path
		if len(f) != 3 || !fs.ValidPath(path.Join("x", f[2])) {
			continue
		}
		v2 := f[1] == ""
		if !v2 && !strings.Contains(","+f[1]+",", ",cpu,") {
			continue
		}
		top := "sys/fs/cgroup"
		if !v2 {
			top = path.Join(top, "cpu")
		}
		// In a container the path may be the host's, which does not exist here.
		// The folders above it do.
		for dir := path.Join(top, f[2]); len(dir) >= len(top); dir = path.Dir(dir) {
			if v2 {
				quota, period, _ := strings.Cut(read(path.Join(dir, "cpu.max")), " ") // "max" means no limit
				consider(quota, period)
			} else {
				consider(read(path.Join(dir, "cpu.cfs_quota_us")), read(path.Join(dir, "cpu.cfs_period_us"))) // -1 means no limit
			}
		}
	}
	return least
}

// ReadBandwidth measures the rate in GB/s at which a number of threads together
// read memory, as the best of a few passes over size bytes. Size must exceed the
// caches.
func ReadBandwidth(threads, size int) float64 {
	b := make([]byte, size)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 2 // all pages that were never written are one page of zeros
	}
	part := size / threads
	best := time.Duration(math.MaxInt64)
	for range 5 {
		start := time.Now()
		var wg sync.WaitGroup
		for t := range threads {
			wg.Go(func() { bytes.IndexByte(b[t*part:(t+1)*part], 1) }) // finds nothing, with vector loads
		}
		wg.Wait()
		best = min(best, time.Since(start))
	}
	return float64(threads*part) / float64(best.Nanoseconds())
}
