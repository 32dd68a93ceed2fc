package eval

import "modelc/ir"

func init() {
	define(dense)
	define(matMul)
}

// dense does not convert all weights at once, because a layer of VGG-16 has 400 MB.
func dense(d ir.Dense, c call) ([]*ir.Tensor, error) {
	if !d.Integer.IsZero() {
		return denseOfIntegers(d, c)
	}
	x, w := c.in[0], c.in[ir.Weights]
	k, m := d.KM(w.Shape)
	v := x.Float64s()
	var bias []float64
	if b := c.arg(ir.Bias); b != nil {
		bias = b.Float64s()
	}
	if w.DType == ir.Float32 {
		return denseOf(d, c, v, bias, w.Float32s(), k, m)
	}
	return denseOf(d, c, v, bias, w.Float64s(), k, m)
}

// denseOf multiplies v [N,k] by weights of an element type.
func denseOf[T float32 | float64](d ir.Dense, c call, v, bias []float64, w []T, k, m int) ([]*ir.Tensor, error) {
	y := make([]float64, c.out[0].Shape.Len())
	const columns = 64
	parallel((m+columns-1)/columns, func(i int) {
		m0, m1 := i*columns, min(m, (i+1)*columns)
		sums := make([]float64, m1-m0)
		for n := range c.in[0].Shape[0] {
			x := v[n*k : (n+1)*k]
			clear(sums)
			if d.TransW {
				for o := range sums {
					row := w[(m0+o)*k:][:k]
					for f, e := range x {
						sums[o] += e * float64(row[f])
					}
				}
			} else {
				for f, e := range x {
					for o, w := range w[f*m+m0 : f*m+m1] {
						sums[o] += e * float64(w)
					}
				}
			}
			for o, s := range sums {
				if bias != nil {
					s += bias[m0+o]
				}
				y[n*m+m0+o] = d.Epilogue.Eval(s)
			}
		}
	})
	return c.floats(y)
}

func matMul(_ ir.MatMul, c call) ([]*ir.Tensor, error) {
	a, b, t := c.in[0], c.in[1], c.out[0]
	as, bs := a.Shape, b.Shape
	if len(as) == 1 {
		as = ir.Shape{1, as[0]}
	}
	if len(bs) == 1 {
		bs = ir.Shape{bs[0], 1}
	}
	m, k, n := as[len(as)-2], as[len(as)-1], bs[len(bs)-1]
	al, bl := as[:len(as)-2], bs[:len(bs)-2]
	lead, _ := ir.BroadcastShapes(al, bl) // Infer has checked it
	if t.DType.IsInt() {
		x, y := a.Int64s(), b.Int64s()
		out := make([]int64, t.Shape.Len())
		products(lead, al, bl, m, k, n, func(o, p, q int) { out[o] += x[p] * y[q] })
		return one(fromInts(t, out))
	}
	x, y := a.Float64s(), b.Float64s()
	out := make([]float64, t.Shape.Len())
	products(lead, al, bl, m, k, n, func(o, p, q int) { out[o] += x[p] * y[q] })
	return c.floats(out)
}

// products calls f for every multiplication of a batched matrix product. o is the position
// of the result; p and q are the positions of the operands.
func products(lead, al, bl ir.Shape, m, k, n int, f func(o, p, q int)) {
	batch := lead.Len()
	parallel(batch*m, func(r int) {
		l, i := r/m, r%m
		at := make([]int, len(lead))
		coordinates(l, lead, at)
		pa, pb := broadcastIndex(al, at)*m*k, broadcastIndex(bl, at)*k*n
		for e := range k {
			for j := range n {
				f((l*m+i)*n+j, pa+i*k+e, pb+e*n+j)
			}
		}
	})
}
