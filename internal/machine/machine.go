// Package machine reports the resources of the computer that a process may use.
package machine

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Quota returns the CPU quota of this process's control groups in CPUs, or 0 if
// there is no quota. It is the smallest quota of the process's group and all
// groups above it. Quota reads versions 1 and 2 of control groups, which only
// Linux has. root is the root of the file system.
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
		// In a container the path may be that of the host and not exist. The
		// folders above it exist.
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

// ReadBandwidth measures the memory bandwidth of parallel reads in GB/s. threads
// goroutines read a buffer of the given number of bytes, which must exceed the
// size of the caches. The result is the maximum of a few passes.
func ReadBandwidth(threads, bytes int) float64 {
	words := make([]uint64, bytes/8)
	for i := range words {
		words[i] = 1 // the system maps all pages that were never written to one page of zeros
	}
	part := len(words) / threads
	sums := make([]uint64, threads)
	best := 0.0
	for range 5 {
		var wg sync.WaitGroup
		start := time.Now()
		for t := range threads {
			wg.Go(func() { sums[t] += sum(words[t*part : (t+1)*part]) })
		}
		wg.Wait()
		best = max(best, float64(threads*part*8)/float64(time.Since(start).Nanoseconds()))
	}
	return best
}

// sum adds words in eight independent chains, so that only memory limits its
// speed.
func sum(words []uint64) uint64 {
	var a, b, c, d, e, f, g, h uint64
	for len(words) >= 8 {
		w := words[:8:8]
		a, b, c, d = a+w[0], b+w[1], c+w[2], d+w[3]
		e, f, g, h = e+w[4], f+w[5], g+w[6], h+w[7]
		words = words[8:]
	}
	for _, w := range words {
		a += w
	}
	return a + b + c + d + e + f + g + h
}
