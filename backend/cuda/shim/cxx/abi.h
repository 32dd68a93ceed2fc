// The C interface of a library that the shim makes of kernels.cu. Calls must not overlap.
#pragma once

// shim_extent is memory that a kernel may access. The library reports other accesses as
// errors if it was compiled with checks.
struct shim_extent {
    void *start;
    unsigned long long bytes;
};

extern "C" {
// shim_kernels returns the number of kernels; shim_kernel returns the name of one, and
// shim_args the number of its arguments.
int shim_kernels(void);
const char *shim_kernel(int i);
int shim_args(int i);

// shim_launch runs a grid. args points to a pointer for each argument, as for
// cuLaunchKernel. extents, unless null, has the memory of each argument. The threads of a
// block take turns in an order that depends on seed. It returns null, or a description of
// the first error, which is valid until the next call.
const char *shim_launch(const char *name, const unsigned grid[3], const unsigned block[3],
                        unsigned shared, void **args, const shim_extent *extents,
                        unsigned long long seed);
}
