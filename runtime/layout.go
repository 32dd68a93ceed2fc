package runtime

// Pack turns a dense float32 tensor into an image. The last block's channels
// beyond C become zero.
type Pack struct {
	Src  Ref // [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC bool
	Dst  Image
}

// Unpack turns an image into a dense float32 tensor.
type Unpack struct {
	Src  Image
	Dst  Ref // [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC bool
}

// Copy copies an image to another of the same extents: into another border,
// or a slice of a concatenation's buffer. SrcChannel is the first channel
// taken, DstChannel where it lands; neither need be a multiple of 16. Other
// channels of Dst keep their values, except that those beyond C in the last
// block become zero when the range ends at C.
type Copy struct {
	Src, Dst               Image
	SrcChannel, DstChannel int
	Channels               int
}

// ResizeImage interpolates H and W, NC16 to NC16. Row and column tables are
// made at compile time: result row y is Σ_k RowWeight[y·Taps+k] ·
// source row RowIndex[y·Taps+k], columns alike. Nearest has one tap.
type ResizeImage struct {
	Src, Dst             Image
	RowTaps, ColTaps     int
	RowIndex, ColIndex   []int32
	RowWeight, ColWeight []float32
}

// PadImage copies an image into a larger one with a border made by index
// tables: result row y is source row Rows[y], −1 for Value; columns alike.
// It serves every pad mode and crops.
type PadImage struct {
	Src, Dst   Image
	Rows, Cols []int32
	Value      float32
}
