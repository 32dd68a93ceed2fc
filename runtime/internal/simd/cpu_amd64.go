//go:build !purego

package simd

// cpuid and xgetbv are the instructions of those names.
func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32)
func xgetbv() (eax, edx uint32)

// Available returns the tiers of this machine, the best last. The CPU has their
// instructions, and the operating system saves their registers.
func Available() []*Tier {
	const (
		osxsave, avx, fma = 1 << 27, 1 << 28, 1 << 12
		bit2              = 1 << 5 // AVX2
		f, dq             = 1 << 16, 1 << 17
		bw, vl            = 1 << 30, 1 << 31
		vnni512           = 1 << 11 // of ECX
		vnni              = 1 << 4  // of EAX, sub-leaf 1
		bf16              = 1 << 5  // of EAX, sub-leaf 1

		ymmState = 0x06 // XMM, YMM
		zmmState = 0xe6 // also the opmasks and both halves of ZMM
	)
	tiers := []*Tier{&generic}
	if leaves, _, _, _ := cpuid(0, 0); leaves < 7 {
		return tiers
	}
	has := func(set, bits uint32) bool { return set&bits == bits }
	if _, _, c1, _ := cpuid(1, 0); !has(c1, osxsave|avx|fma) {
		return tiers
	}
	state, _ := xgetbv()
	subleaves, b7, c7, _ := cpuid(7, 0)
	if has(b7, bit2) && has(state, ymmState) {
		tiers = append(tiers, &avx2)
		var a71 uint32
		if subleaves >= 1 {
			a71, _, _, _ = cpuid(7, 1)
		}
		if has(a71, vnni) {
			tiers = append(tiers, &avxvnni)
		}
		if has(b7, f|dq|bw|vl) && has(state, zmmState) {
			tiers = append(tiers, &avx512)
			if has(c7, vnni512) {
				tiers = append(tiers, &avx512vnni)
				if has(a71, bf16) {
					tiers = append(tiers, &avx512bf16)
				}
			}
		}
	}
	return tiers
}
