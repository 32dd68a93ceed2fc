package simd

//go:generate go run modelc/internal/kernelgen/dispatch -dir .
//go:generate go run modelc/internal/kernelgen/conv -out zconv_amd64.s -stubs zconv_amd64.go -pkg simd
//go:generate go run modelc/internal/kernelgen/vector -out zvector_amd64.s -stubs zvector_amd64.go -pkg simd
//go:generate go run modelc/internal/kernelgen/winograd -out zwinograd_amd64.s -stubs zwinograd_amd64.go -pkg simd
//go:generate go run modelc/internal/kernelgen/integer -out zinteger_amd64.s -stubs zinteger_amd64.go -pkg simd
//go:generate go run modelc/internal/kernelgen/neon -out zneon_arm64.s -stubs zneon_arm64.go
