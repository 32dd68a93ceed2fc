package runtime

func affineRowAVX512(dst, src, scale, shift []float32, act Act) bool           { return false }
func binaryRowAVX512(dst, a, b []float32, mask int, fn BinaryFn, act Act) bool { return false }
func depthwiseRow(k *Depthwise, out, in, w []float32, bias *[16]float32, res []float32, inRow int) {
	k.rowGo(out, in, w, bias, res, inRow)
}
func (k *Winograd) Run(c *Context)           {}
func (k *Winograd) ScratchBytes() int        { return 0 }
func (k *WinogradWeights) Run(c *Context)    {}
func (k *WinogradWeights) ScratchBytes() int { return 0 }
