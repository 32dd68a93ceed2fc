package runtime

// PoolKind is what a pool computes.
type PoolKind uint8

// The kinds of pooling.
const (
	PoolMax PoolKind = iota
	PoolAvg
)

// Pool is a maximum or average over windows, NC16 to NC16. It never reads
// the border of Src: windows are clipped to the image.
type Pool struct {
	Kind            PoolKind
	Src, Dst        Image
	Scale, Shift    Ref // prologue as in Conv, absent for none
	Pre             Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
	// PadBottom and PadRight bound the padded image that an average with
	// CountPad divides by.
	PadBottom, PadRight int
	CountPad            bool
}

// GlobalPool reduces H×W to 1×1, NC16 to NC16.
type GlobalPool struct {
	Kind         PoolKind
	Src, Dst     Image
	Scale, Shift Ref
	Pre          Act
}
