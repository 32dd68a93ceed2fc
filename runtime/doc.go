// Package runtime executes compiled networks. It is what ships inside a
// user's binary: kernels, the worker team, the arena. It knows nothing of
// graphs or files and imports the standard library alone.
//
// # Programs
//
// A compiled network is a [Plan]: a straight list of kernels whose every
// extent, offset and choice is a constant. [NewModel] binds a plan to its
// weights, [Model.NewSession] gives a caller an arena and workers, and
// [Session.Run] executes the kernels in order. The generated package holds
// the plan as Go source; backend/inproc holds the same plan in memory.
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
// Kernels exist in pure Go and, for hot loops, in assembly. The best tier the
// CPU offers is chosen at start; MODELC_CPU=avx512|avx2|neon|generic forces
// one.
package runtime
