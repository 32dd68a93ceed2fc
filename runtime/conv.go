package runtime

// Conv is a convolution (a correlation: the kernel is not flipped) from NC16
// to NC16, any kernel, stride and dilation, one group:
//
//	Dst = Act(conv(Pre(Src·Scale+Shift), W) + Bias + Residual)
//
// The border of Src holds the padding. With a prologue (Scale, Shift or Pre)
// the border still counts as zero after it.
type Conv struct {
	Src, Dst     Image
	W            Ref   // [ceil(OC/32)][ceil(IC/16)][KH][KW][16][32], see package pack
	Bias         Ref   // [OC padded to 16], absent for none
	Residual     Image // extents of Dst, own border and strides; N = 0 for none. May be Dst itself.
	Scale, Shift Ref   // [IC padded to 16], absent for none
	Pre, Act     Act
	KH, KW       int
	SH, SW       int
	DH, DW       int
	// PadTop and PadLeft are how much of Src's border above and to the left of
	// pixel (0,0) the first window covers; at most Src.Top and Src.Left.
	// Negative ones crop.
	PadTop, PadLeft int
}

// ConvFirst is a convolution that reads the user's layout, for the few
// channels of a picture, and writes NC16. Padding is zero and explicit.
type ConvFirst struct {
	Src        Ref // [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC       bool
	N, C, H, W int
	Dst        Image
	Wt         Ref // [ceil(OC/32)][KH][KW][C][32], last block 16 wide where OC leaves one
	Bias       Ref
	Act        Act
	KH, KW     int
	SH, SW     int
	DH, DW     int
	PadTop     int
	PadLeft    int
}

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

// Depthwise is a convolution with one filter per channel, NC16 to NC16.
// Operands as in Conv.
type Depthwise struct {
	Src, Dst        Image
	W               Ref // [ceil(C/16)][KH][KW][16]
	Bias            Ref
	Residual        Image
	Scale, Shift    Ref
	Pre, Act        Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// Dense is a fully connected layer: Y[n,m] = Act(Σ X[n,k]·W[k,m] + Bias[m]).
type Dense struct {
	X       Ref // [N,K]
	Y       Ref // [N,M]
	W       Ref // [ceil(M/32)][K padded to 16][32], last block 16 wide where M leaves one
	Bias    Ref // [M padded to 16]
	N, K, M int
	Act     Act
}
