package shim

// ABI returns the text of abi.h, for programs in C++ that call a library of the shim.
func ABI() []byte { return abi }
