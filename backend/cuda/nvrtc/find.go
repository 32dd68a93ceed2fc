package nvrtc

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// names has the patterns of a file below its folders.
type names struct {
	home  []string // patterns below CUDA_HOME, the usual folders and site-packages
	plain []string // names on the library path, or PATH
}

var (
	libraryNames = names{
		home:  []string{"lib64/libnvrtc.so*", "lib/libnvrtc.so*", "targets/*/lib/libnvrtc.so*", "nvidia/cuda_nvrtc/lib/libnvrtc.so*", "nvidia/cu1?/lib/libnvrtc.so*", "cuda_nvrtc/lib/libnvrtc.so*"},
		plain: []string{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"},
	}
	windowsNames = names{
		home:  []string{`bin\nvrtc64_*_0.dll`, `bin\x64\nvrtc64_*_0.dll`, `nvidia\cuda_nvrtc\bin\nvrtc64_*_0.dll`},
		plain: []string{"nvrtc64_130_0.dll", "nvrtc64_120_0.dll"},
	}
	ptxasNames = names{
		home: []string{"bin/ptxas", "nvidia/cuda_nvcc/bin/ptxas", "nvidia/cu1?/bin/ptxas", "cuda_nvcc/bin/ptxas", "bin/ptxas.exe"},
	}
)

// libraries returns the paths and names under which NVRTC may be found, the best first.
func libraries() []string {
	n := libraryNames
	if runtime.GOOS == "windows" {
		n = windowsNames
	}
	var list []string
	for _, home := range homes() {
		list = append(list, n.below(home)...)
	}
	list = append(list, n.plain...)
	for _, home := range usual() {
		list = append(list, n.below(home)...)
	}
	return list
}

// below returns the files below a folder that fit the patterns, except the variants of
// NVRTC that are called alt.
func (n names) below(folder string) (list []string) {
	for _, p := range n.home {
		found, _ := filepath.Glob(filepath.Join(folder, p)) // the patterns are well-formed
		for _, f := range found {
			if !strings.Contains(filepath.Base(f), "alt") {
				list = append(list, f)
			}
		}
	}
	return list
}

// homes returns the folder that the environment names.
func homes() []string {
	if home := cmp.Or(os.Getenv("CUDA_HOME"), os.Getenv("CUDA_PATH")); home != "" {
		return []string{home}
	}
	return nil
}

// usual returns the toolkit's usual folder and that of Python's packages.
func usual() []string { return append([]string{"/usr/local/cuda"}, sitePackages()...) }

// sitePackages returns the folders of the packages of the Python that PATH names.
var sitePackages = sync.OnceValue(func() []string {
	out, err := exec.Command("python3", "-c", "import site; print('\\n'.join(site.getsitepackages() + [site.getusersitepackages()]))").Output()
	if err != nil {
		return nil // there is no Python
	}
	return strings.Fields(string(out))
})
