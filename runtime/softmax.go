package runtime

// SoftmaxRows makes each row of Src [Rows,N] sum to one: exp(x−max)/Σ exp(x−max),
// to Dst.
type SoftmaxRows struct {
	Src, Dst Ref
	Rows, N  int
}

// softmaxChunk is how many floats a part computes.
const softmaxChunk = 1 << 12

// ScratchBytes is zero.
func (k *SoftmaxRows) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *SoftmaxRows) Run(c *Context) { c.do(k.parts(), 8*k.Rows*k.N, k) }

func (k *SoftmaxRows) parts() int { return min(k.Rows, split(k.Rows*k.N, softmaxChunk)) }

func (k *SoftmaxRows) part(c *Context, i, worker int) {
	first, last := cut(k.Rows, k.parts(), i), cut(k.Rows, k.parts(), i+1)
	src, dst := c.f32(k.Src)[first*k.N:last*k.N], c.f32(k.Dst)[first*k.N:last*k.N]
	if active >= avx2 {
		softmaxRows(&dst[0], &src[0], k.N, last-first)
		return
	}
	for at := 0; at < len(src); at += k.N {
		softmaxRowGo(dst[at:at+k.N], src[at:at+k.N])
	}
}

func softmaxRowGo(dst, src []float32) {
	top := src[0]
	for _, v := range src {
		top = max(top, v)
	}
	for i, v := range src {
		dst[i] = v - top
	}
	applyAct(dst, Act{Fn: ActExp})
	sum := 0.0
	for _, v := range dst {
		sum += float64(v)
	}
	for i, v := range dst {
		dst[i] = float32(float64(v) / sum)
	}
}
