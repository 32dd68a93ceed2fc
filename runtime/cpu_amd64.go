//go:build !purego

package runtime

// cpuid and xgetbv are the instructions of those names.
func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32)
func xgetbv() (eax, edx uint32)

// hasAVX512 reports whether the CPU and the operating system support the
// AVX-512 subsets that the kernels use: F, DQ, BW, VL, with FMA.
func hasAVX512() bool {
	const (
		osxsave = 1 << 27
		fma     = 1 << 12
		f, dq   = 1 << 16, 1 << 17
		bw, vl  = 1 << 30, 1 << 31
		state   = 0xe6 // XMM, YMM, opmask, ZMM
	)
	if max, _, _, _ := cpuid(0, 0); max < 7 {
		return false
	}
	_, _, c1, _ := cpuid(1, 0)
	if c1&osxsave == 0 || c1&fma == 0 {
		return false
	}
	if lo, _ := xgetbv(); lo&state != state {
		return false
	}
	_, b7, _, _ := cpuid(7, 0)
	const all = f | dq | bw | vl
	return b7&all == all
}
