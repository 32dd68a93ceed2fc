package cuda

import (
	"fmt"
	"slices"
	"strings"

	"modelc/backend/plan"
	"modelc/ir"
)

// shape is the struct NAME_shape of a kernel, whose members device code reads as S.
type shape struct {
	strings.Builder
}

// values adds integer members: names and values alternate in pairs.
func (s *shape) values(line string, v ...int) {
	names := strings.Fields(line)
	if len(names) != len(v) {
		panic("cuda: members of a shape: " + line)
	}
	s.WriteString("    static constexpr int ")
	for i, n := range names {
		if i > 0 {
			s.WriteString(", ")
		}
		fmt.Fprintf(s, "%s = %d", n, v[i])
	}
	s.WriteString(";\n")
}

// flags adds members that are truth values.
func (s *shape) flags(line string, v ...bool) {
	s.WriteString("    static constexpr bool ")
	for i, n := range strings.Fields(line) {
		if i > 0 {
			s.WriteString(", ")
		}
		fmt.Fprintf(s, "%s = %v", n, v[i])
	}
	s.WriteString(";\n")
}

// function adds a function of one float.
func (s *shape) function(name string, a ir.Act) {
	fmt.Fprintf(s, "    static __device__ __forceinline__ float %s(float v) { return %s; }\n", name, apply(a, "v", "float"))
}

// text returns the struct.
func (s *shape) text() string { return "struct NAME_shape {\n" + s.String() + "};\n" }

// windowed adds the members that convolutions and pools share. x and y are the operand and
// the result; groups divide the channels.
func (s *shape) windowed(x, y *place, w plan.Window, groups int) {
	n, c, h, wd := extents(x.Shape)
	_, m, oh, ow := extents(y.Shape)
	s.values("N C H W M OH OW GROUPS", n, c/groups, h, wd, m/groups, oh, ow, groups)
	s.values("KH KW SH SW DH DW PT PL", w.KH, w.KW, w.SH, w.SW, w.DH, w.DW, w.PadTop, w.PadLeft)
	xn, xc, xh, xw := x.nchw()
	s.values("XN XC XH XW", xn, xc, xh, xw)
	yn, yc, yh, yw := y.nchw()
	s.values("YN YC YH YW", yn, yc, yh, yw)
	below, right := w.After(h, wd, oh, ow)
	s.flags("PADDED", w.PadTop > 0 || w.PadLeft > 0 || below > 0 || right > 0)
}

// vectors reports whether kernels can store 4 neighbouring channels of every place at once.
// A nil place counts as suitable.
func vectors(channels int, places ...*place) bool {
	ok := channels%vector == 0
	for _, p := range places {
		ok = ok && (p == nil || p.channelsLast())
	}
	return ok
}

// side reports whether a value [C] lies side by side at a whole vector.
func side(p *place) bool { return p == nil || p.strides[0] == 1 && p.Off%(4*vector) == 0 }

// channelVector returns a constant or computed value [C] for loads of whole vectors. It
// returns nil for a computed value that no vectors cover.
func (b *builder) channelVector(v *ir.Value, c int, absent float32) *place {
	n := plan.AlignUp(c, vector)
	switch {
	case v == nil:
		return b.packed(fmt.Sprint("all ", absent, n), ir.Shape{n}, func(w []float32) {
			for i := range c {
				w[i] = absent
			}
		})
	case v.Const != nil:
		return b.packed([2]any{v.Const, "vectors"}, ir.Shape{n}, func(w []float32) { copy(w, v.Const.Float32s()) })
	}
	if p := b.in(v); c%vector == 0 && side(p) {
		return p
	}
	return nil
}

// compact drops the absent operands of a kernel, and returns the remaining ones and the
// argument list of the call in which nullptr stands for absent ones.
func compact(list []param) ([]param, string) {
	var args []string
	for _, p := range list {
		if p.at == nil {
			args = append(args, "nullptr")
		} else {
			args = append(args, p.name)
		}
	}
	return slices.DeleteFunc(list, func(p param) bool { return p.at == nil }), strings.Join(args, ", ")
}
