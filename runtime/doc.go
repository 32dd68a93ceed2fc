// Package runtime executes compiled networks. It is the part of modelc that a
// program with a generated package contains. It knows nothing of graphs and model
// files, and imports the standard library alone.
//
// A compiled network is a [Plan]: a list of kernels whose every extent, offset
// and choice is a constant. [NewModel] binds a plan to its weights and transforms
// some of them in the background. [Model.NewSession] gives a caller an arena and
// workers. [Session.Run] executes the kernels in order; the first kernels of a plan for
// a batch may run for one example after another ([Loop]). The generated package
// holds the plan as Go source; backend/inproc holds the same plan in memory.
//
// # Layers
//
// This package holds what generated code and users name. The packages below it
// import one another in one direction:
//
//	internal/mem   aligned memory, large pages, mapped files
//	internal/team  the workers of a session
//	internal/simd  micro-kernels: tiers, their assembly, and its twins in Go
//	kernel         kernels on float32 images, as structs of constants
//	kernel/plain   kernels on dense tensors of any type and rank
//	vision         pictures to tensors, scores to classes; imports none of these
//
// # Layout
//
// Float32 images have the layout NC16: [N][C/16][rows][columns][16]float32. The
// channels are padded with zeros to a multiple of 16. The rows and columns include
// a border of zeros ([kernel.Image]), so that inner loops have no edge cases.
// Everything else is dense and row-major.
//
// # Tiers
//
// Kernels exist in pure Go and, for hot loops, in assembly. All tiers read the
// same layout and the same weights:
//
//	avx512bf16  amd64 with AVX-512 F, DQ, BW, VL, VNNI and BF16
//	avx512vnni  amd64 with AVX-512 F, DQ, BW, VL and VNNI
//	avx512      amd64 with AVX-512 F, DQ, BW and VL
//	avxvnni     amd64 with AVX-VNNI, AVX2 and FMA
//	avx2        amd64 with AVX2 and FMA
//	neondot     arm64 with dot products (Armv8.2 and later)
//	neon        arm64
//	generic     everywhere: pure Go
//
// The tiers with VNNI or dot products differ from avx512, avx2 and neon only in their
// kernels on integers.
//
// At start the package chooses the best tier that the CPU has and whose registers
// the operating system saves. The environment variable MODELC_CPU names another
// one; if the machine lacks it, or the name is unknown, the choice stays. [Tier]
// returns the name of the tier in use.
//
// Results of one tier are the same bits for any number of threads. Integers are the same
// in all tiers. Floats differ by rounding: vector kernels fuse multiplication and
// addition and may sum in another order.
//
// The build tag purego leaves the assembly out.
package runtime
