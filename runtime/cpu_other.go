//go:build !amd64 || purego

package runtime

func hasAVX512() bool { return false }

// Never called: useAVX512 is false.
func tile32AVX512(a *tileArgs) { a.generic(32, 16) }
func tile16AVX512(a *tileArgs) { a.generic(16, 16) }
func run32AVX512(a *tileArgs)  { a.generic(32, a.run) }
func run16AVX512(a *tileArgs)  { a.generic(16, a.run) }
func peakAVX512(n int)         {}
