package runtime

// Winograd is a 3×3 convolution with stride 1 computed as F(M×M,3×3)
// (Lavin & Gray 2015): fewer multiplications, slightly more rounding.
// Operands as in Conv; the transformed weights are made by WinogradWeights.
type Winograd struct {
	M               int // 2, 4 or 6
	Src, Dst        Image
	W               Ref // in Prepared: [(M+2)²][ceil(OC/32)][IC padded to 16][32]
	Bias            Ref
	Residual        Image
	Scale, Shift    Ref
	Pre, Act        Act
	PadTop, PadLeft int
	// Tiles is how many tiles are transformed together, OutBlocks how many
	// blocks of 32 output channels are multiplied before their output
	// transform.
	Tiles, OutBlocks int
}

// WinogradWeights transforms the weights of a Winograd step at load.
type WinogradWeights struct {
	M      int
	IC, OC int
	W      Ref // as Conv.W with KH = KW = 3
	Dst    Ref // in Prepared
}
