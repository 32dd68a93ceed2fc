// Package abi describes the interface between the assembly kernels and package simd: the
// kernels with their parameters, the tiers that have them, and the offsets of the fields
// that kernels read. The generators of all architectures read these tables. A test
// compares the offsets with package simd.
package abi

// Offsets into simd.Tile. Hi is four bytes behind Lo.
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
	Lines
	InLine
	OutLine

	Round = OutLine + 10 // behind two other bools
)

// Offsets into simd.WinogradOut. Hi is four bytes behind Lo.
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

// Offsets into simd.LaneGroup, and its size.
const (
	LaneIn        = 0
	LanePerm      = 8
	LaneMask      = 40
	LaneGroupSize = 80
)

// Offsets into simd.ByteBinary.
const (
	ByteAScale = 4 * iota
	ByteBScale
	ByteAZero
	ByteBZero
	ByteZero
	ByteLow
	ByteHigh
)

// Offsets into simd.ByteAverage.
const (
	AverageStart = 4 * iota
	AverageBy
	AverageZero
	AverageLow
	AverageHigh
)

// Offsets into simd.ByteAffine.
const (
	AffineXScale = 4 * iota
	AffineXZero
	AffineLo
	AffineHi
	AffineScale
	AffineZero
	AffineLow
	AffineHigh
)

// Offsets into simd.IntTile. Lo and Hi are two and three bytes behind Zero.
const (
	IntIn = 8 * iota
	IntW
	IntOut
	IntStart
	IntMultiplier
	IntPix
	IntOutBlock
	IntParts
	IntBlocks
	IntBlockStride
	IntRows
	IntRowStride
	IntCols
	IntColStride
	IntHalf
	IntPixels
	IntZero
	IntNext
	IntNextStep
	IntLeft
	IntNextTile
	IntTiles
	IntResidual
	IntResidualBlock
	IntSum
	IntHalfOut
)

// Offsets into simd.IntSum. Lo and Hi are two and three bytes behind Zero.
const (
	IntSumScale = 4 * iota
	IntSumResidualScale
	IntSumResidualZero
	IntSumLow
	IntSumHigh
	IntSumZero
)

// Offsets into simd.IntDepthwise. The first fields are those of simd.IntTile.
const (
	IntDepthwiseTaps = IntPix + 8*iota
	IntDepthwiseGroups
	IntDepthwisePix
	IntDepthwisePixels
	IntDepthwiseZero
	IntDepthwiseWide
	IntDepthwiseRow
	IntDepthwiseOutRow
	IntDepthwiseRows
)

// Offsets into simd.IntTransformOut.
const (
	IntTransformIn = 8 * iota
	IntTransformOut
	IntTransformStart
	IntTransformMultiplier
	IntTransformPosStride
	IntTransformRowStride
	IntTransformTiles
	IntTransformZero
)

// Struct lists the fields of a structure of package simd that assembly reads.
type Struct struct {
	Name   string
	Size   int // in bytes, 0 if no kernel depends on it
	Fields []Field
}

// Field is a field with its offset in bytes.
type Field struct {
	Name   string
	Offset int
}

// Structs lists the structures that kernels read.
var Structs = []Struct{
	{"Tile", 0, []Field{{"In", In}, {"W", W}, {"Out", Out}, {"Bias", Bias}, {"Res", Res}, {"Pix", Pix},
		{"OutPix", OutPix}, {"OutBlock", OutBlock}, {"ResPix", ResPix}, {"ResBlock", ResBlock},
		{"Blocks", Blocks}, {"BlockStride", BlockStride}, {"Rows", Rows}, {"RowStride", RowStride}, {"Cols", Cols}, {"ColStride", ColStride},
		{"Run", Run}, {"Pixels", Pixels}, {"Clamp", Clamp}, {"Lo", LoHi}, {"Hi", LoHi + 4},
		{"next", Next}, {"nextStep", NextStep}, {"Half", Half}, {"Lines", Lines}, {"InLine", InLine}, {"OutLine", OutLine}, {"round", Round}}},
	{"WinogradOut", 0, []Field{{"In", WinogradIn}, {"Out", WinogradOut}, {"Res", WinogradRes}, {"PosStride", WinogradPosStride},
		{"RowStride", WinogradRowStride}, {"ResStride", WinogradResStride}, {"Tiles", WinogradTiles}, {"Lo", WinogradLoHi}, {"Hi", WinogradLoHi + 4}}},
	{"ByteBinary", 0, []Field{{"AScale", ByteAScale}, {"BScale", ByteBScale}, {"AZero", ByteAZero}, {"BZero", ByteBZero}, {"Zero", ByteZero}, {"Low", ByteLow}, {"High", ByteHigh}}},
	{"ByteAverage", 0, []Field{{"Start", AverageStart}, {"By", AverageBy}, {"Zero", AverageZero}, {"Low", AverageLow}, {"High", AverageHigh}}},
	{"ByteAffine", 0, []Field{{"XScale", AffineXScale}, {"XZero", AffineXZero}, {"Lo", AffineLo}, {"Hi", AffineHi}, {"Scale", AffineScale}, {"Zero", AffineZero}, {"Low", AffineLow}, {"High", AffineHigh}}},
	{"IntTile", 0, []Field{{"In", IntIn}, {"W", IntW}, {"Out", IntOut}, {"Start", IntStart}, {"Multiplier", IntMultiplier}, {"Pix", IntPix}, {"OutBlock", IntOutBlock},
		{"Parts", IntParts}, {"Blocks", IntBlocks}, {"BlockStride", IntBlockStride}, {"Rows", IntRows}, {"RowStride", IntRowStride}, {"Cols", IntCols}, {"ColStride", IntColStride},
		{"Half", IntHalf}, {"Pixels", IntPixels}, {"Zero", IntZero}, {"Lo", IntZero + 2}, {"Hi", IntZero + 3}, {"next", IntNext}, {"nextStep", IntNextStep}, {"Left", IntLeft},
		{"nextTile", IntNextTile}, {"Tiles", IntTiles}, {"Residual", IntResidual}, {"ResidualBlock", IntResidualBlock}, {"Sum", IntSum}, {"HalfOut", IntHalfOut}}},
	{"IntSum", 0, []Field{{"Scale", IntSumScale}, {"ResidualScale", IntSumResidualScale}, {"ResidualZero", IntSumResidualZero}, {"Low", IntSumLow}, {"High", IntSumHigh},
		{"Zero", IntSumZero}, {"Lo", IntSumZero + 2}, {"Hi", IntSumZero + 3}}},
	{"IntDepthwise", 0, []Field{{"In", IntIn}, {"W", IntW}, {"Out", IntOut}, {"Start", IntStart}, {"Multiplier", IntMultiplier}, {"Taps", IntDepthwiseTaps},
		{"Groups", IntDepthwiseGroups}, {"Pix", IntDepthwisePix}, {"Pixels", IntDepthwisePixels}, {"Zero", IntDepthwiseZero}, {"Lo", IntDepthwiseZero + 2}, {"Hi", IntDepthwiseZero + 3},
		{"Wide", IntDepthwiseWide}, {"Row", IntDepthwiseRow}, {"OutRow", IntDepthwiseOutRow}, {"Rows", IntDepthwiseRows}}},
	{"IntTransformOut", 0, []Field{{"In", IntTransformIn}, {"Out", IntTransformOut}, {"Start", IntTransformStart}, {"Multiplier", IntTransformMultiplier},
		{"PosStride", IntTransformPosStride}, {"RowStride", IntTransformRowStride}, {"Tiles", IntTransformTiles}, {"Zero", IntTransformZero}, {"Lo", IntTransformZero + 2}, {"Hi", IntTransformZero + 3}}},
	{"LaneGroup", LaneGroupSize, []Field{{"In", LaneIn}, {"Perm", LanePerm}, {"Mask", LaneMask}}},
}
