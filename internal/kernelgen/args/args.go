// Package args has the offsets of the fields of the structures that kernels
// read, for the generators of every architecture.
package args

// Offsets into tileArgs, see runtime/tile.go. Lo and Hi are four bytes each.
const (
	In = 8 * iota
	W
	Out
	Bias
	Res
	Pix
	OutPix
	OutBlock
	ResPix
	ResBlock
	Blocks
	BlockStride
	Rows
	RowStride
	Cols
	ColStride
	Run
	Pixels
	Clamp
	LoHi
	Next
	NextStep
	Half
)

// Offsets into winogradOut, see runtime/winograd.go. Lo and Hi are four bytes
// each.
const (
	WinogradIn = 8 * iota
	WinogradOut
	WinogradRes
	WinogradPosStride
	WinogradRowStride
	WinogradResStride
	WinogradTiles
	WinogradLoHi
)
