package launcher

// A Program is a network as kernels, without its PTX and its weights.
type Program struct {
	// Kernels are in the order of execution.
	Kernels []Kernel
	// Arena is the size in bytes of a session's device memory.
	Arena int
	// Inputs and Outputs are the network's tensors. They are dense and lie in the arena.
	Inputs, Outputs []Port
}

// A Kernel is one launch of a kernel.
type Kernel struct {
	Name        string // of the function in the PTX
	Grid, Block [3]int // extents of the launch
	Shared      int    // bytes of dynamic shared memory
	// Args are the kernel's arguments, all pointers. A value of at least 0 is an offset
	// in bytes in the arena. The complement (^) of a value is an offset in the weights.
	Args []int
}

// A Port is an input or output.
type Port struct {
	Name   string
	Type   string // element type: "f32", "i64", …
	Shape  []int
	Offset int // in the arena, in bytes
	Bytes  int
}
