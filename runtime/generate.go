package runtime

//go:generate go run modelc/internal/kernelgen/conv -out zconv_amd64.s -stubs zconv_amd64.go -pkg runtime
