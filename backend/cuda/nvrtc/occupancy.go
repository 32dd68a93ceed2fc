package nvrtc

import "modelc/backend/cuda/launcher"

// GPU has the limits of a device for estimates.
type GPU struct {
	Name            string
	Arch            int     // compute capability, 10·major + minor
	Multiprocessors int     // streaming multiprocessors
	TFLOPS          float64 // float32 multiply-adds outside tensor cores, 2 operations each, in 10¹² a second
	GBs             float64 // memory bandwidth in 10⁹ bytes a second
	Threads, Blocks int     // resident threads and blocks of a multiprocessor
	Registers       int     // 32-bit registers of a multiprocessor
	Shared          int     // bytes of shared memory of a multiprocessor
}

// H100 is the H100 SXM5: NVIDIA H100 Tensor Core GPU Architecture (2022), table 3, and CUDA
// C++ Programming Guide, table "Technical Specifications per Compute Capability".
var H100 = GPU{"H100 SXM5", 90, 132, 66.9, 3352, 2048, 32, 64 << 10, 228 << 10}

// Of returns the limits of a device. The rates are those of its highest clocks. The limits
// of a multiprocessor are from the CUDA C++ Programming Guide, table "Technical
// Specifications per Compute Capability".
func Of(d launcher.Device) GPU {
	g := GPU{d.Name, d.Compute, d.Multiprocessors, 0, 0, 2048, 32, 64 << 10, 96 << 10}
	cores := 64
	switch d.Compute {
	case 75:
		g.Threads, g.Blocks, g.Shared = 1024, 16, 64<<10
	case 80:
		g.Shared = 164 << 10
	case 86, 89:
		g.Threads, g.Blocks, g.Shared, cores = 1536, 24, 100<<10, 128
	case 90, 100, 103:
		g.Shared, cores = 228<<10, 128
	case 120, 121:
		g.Threads, g.Blocks, g.Shared, cores = 1536, 24, 100<<10, 128
	}
	g.TFLOPS = 2 * float64(cores*d.Multiprocessors) * float64(d.Clock) / 1e9
	g.GBs = 2 * float64(d.MemoryClock) * float64(d.Bus) / 8 / 1e6
	return g
}

// Occupancy returns the part of a multiprocessor's threads that can be resident, for
// blocks of the given number of threads with dynamic bytes of shared memory. Registers
// are allocated to warps in units of 256. A block takes 1 KB of shared memory for itself.
// Source: CUDA C++ Best Practices Guide, "Calculating Occupancy".
func (g GPU) Occupancy(u Usage, threads, dynamic int) float64 {
	warps := (threads + 31) / 32
	perWarp := (u.Registers*32 + 255) / 256 * 256
	blocks := min(g.Blocks, g.Threads/32/max(warps, 1), g.Registers/max(perWarp*warps, 1), g.Shared/(u.Shared+dynamic+1024))
	return float64(blocks*warps) / float64(g.Threads/32)
}

// Roofline returns a lower bound in seconds of the time of a kernel, and whether memory
// bounds it. rate is the rate of its instructions, divided by that of float32 multiply-adds.
// Source: Williams, Waterman, Patterson, "Roofline" (2009).
func (g GPU) Roofline(flops, bytes int64, rate float64) (seconds float64, memory bool) {
	compute, moved := float64(flops)/(rate*g.TFLOPS*1e12), float64(bytes)/(g.GBs*1e9)
	return max(compute, moved), moved >= compute
}
