// Package launcher runs a compiled network on an NVIDIA GPU. It needs the NVIDIA driver
// and nothing else: it loads libcuda.so.1 or nvcuda.dll at run time and calls the driver
// API (CUDA Driver API reference, docs.nvidia.com/cuda/cuda-driver-api), without cgo.
//
// Generated packages contain a copy of this package, so it imports the standard library
// and github.com/ebitengine/purego alone.
//
// A [Program] is a list of kernels with constant extents. [Open] loads the program's PTX
// and weights on a device. [Model.NewSession] allocates a session's memory and captures
// the kernels as one CUDA graph. [Session.Send] copies an input to the device,
// [Session.Start] launches the graph, and [Session.Receive] copies an output back, through
// pinned memory.
//
// # Contexts
//
// All models of a device share its primary context, which other libraries use too. A
// context is current on an OS thread, and goroutines change threads. Each exported
// function therefore locks its thread and pushes the context, and pops it at its end.
//
// # Errors
//
// Errors match [ErrNoDriver], [ErrOutOfMemory] or [ErrDeviceLost] with errors.Is if they
// have one of these causes. After a lost device the driver returns the error from every call
// for it, so that all sessions on it fail.
//
// # Platforms
//
// The package works on linux/amd64, linux/arm64 and windows/amd64. It builds elsewhere,
// and [Open] then returns an error.
package launcher
