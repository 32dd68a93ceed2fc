package machine

import (
	"testing"
	"testing/fstest"
)

func TestQuota(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		want  float64
	}{
		{"no Linux", nil, 0},
		{"version 2, no limit", fstest.MapFS{"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/cpu.max": file("max 100000")}, 0},
		{"version 2 in a container", fstest.MapFS{"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/cpu.max": file("150000 100000")}, 1.5},
		{"the smallest above counts", fstest.MapFS{"proc/self/cgroup": file("0::/a/b"),
			"sys/fs/cgroup/a/b/cpu.max": file("800000 100000"), "sys/fs/cgroup/a/cpu.max": file("200000 100000"), "sys/fs/cgroup/cpu.max": file("max 100000")}, 2},
		{"the host's path", fstest.MapFS{"proc/self/cgroup": file("0::/docker/0123"), "sys/fs/cgroup/cpu.max": file("50000 100000")}, 0.5},
		{"version 1", fstest.MapFS{"proc/self/cgroup": file("5:memory:/x\n4:cpu,cpuacct:/x\n0::/"),
			"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": file("300000"), "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": file("100000")}, 3},
		{"version 1, no limit", fstest.MapFS{"proc/self/cgroup": file("1:cpu:/"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": file("-1"), "sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000")}, 0},
		{"nonsense", fstest.MapFS{"proc/self/cgroup": file("0::/../../etc\nx\n:::::"), "sys/fs/cgroup/cpu.max": file("many few")}, 0},
	} {
		if got := Quota(c.files); got != c.want {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
}

func TestReadBandwidth(t *testing.T) {
	for threads := 1; threads <= 3; threads++ {
		if b := ReadBandwidth(threads, 1<<20); b <= 0 {
			t.Errorf("%d threads: %g GB/s", threads, b)
		}
	}
}
