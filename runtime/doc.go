// Package runtime executes compiled networks. It is what ships inside a
// user's binary: kernels, the worker team, the arena. It knows nothing of
// graphs or files and imports the standard library alone.
//
// # Programs
//
// A compiled network is a [Plan]: a straight list of kernels whose every
// extent, offset and choice is a constant. [NewModel] binds a plan to its
// weights, whose transformed forms are made behind it, [Model.NewSession]
// gives a caller an arena and workers, and [Session.Run] executes the kernels
// in order. The generated package holds the plan as Go source; backend/inproc
// holds the same plan in memory.
//
// # Layout
//
// Float32 images live in NC16: [N][C/16][rows][columns][16]float32, channels
// padded with zeros to a multiple of 16, rows and columns including a border
// of zeros ([Image]) so that inner loops meet no edge. Everything else is
// dense row-major.
//
// # Tiers
//
// Kernels exist in pure Go and, for hot loops, in assembly. All tiers read the
// same layout and the same weights:
//
//	avx512   amd64 with AVX-512 F, DQ, BW and VL
//	avx2     amd64 with AVX2 and FMA
//	neon     arm64
//	generic  everywhere: pure Go
//
// The best that the CPU has, and whose registers the operating system saves, is
// chosen at start. The environment variable MODELC_CPU names another; one that
// the machine lacks, or an unknown name, leaves the choice as it is. [Tier]
// tells which is in use.
//
// Results of one tier are the same bits for any number of threads. Between
// tiers they differ by rounding: vector kernels fuse multiplication and addition
// and may sum in another order.
//
// The build tag purego leaves the assembly out.
package runtime
