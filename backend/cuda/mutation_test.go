package cuda

import (
	"fmt"
	"strings"
	"testing"

	"modelc/ir"
	"modelc/passes"
)

// mutants lists graphs, the tiles of their products of matrices, and changes of device code
// that the emulator must report for one of them.
var mutants = []struct {
	graphs    []string
	precision Precision
	tile      tile
	splits    int
	mutations [][2]string
}{
	{ // vectors, two groups, a prologue, a residual and padding
		[]string{`input %x : f32[1,16,5,7]
input %r : f32[1,24,5,7]
const %i : f32[16,1,1,1] = seed=1
const %j : f32[24,1,1,1] = seed=2
const %w : f32[24,8,3,3] = seed=3
const %b : f32[24] = seed=4
const %s : f32[16] = seed=5
const %t : f32[16] = seed=6
%v = Conv(%x, %i) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=16
%q = Conv(%r, %j) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=24
%c = Conv(%v, %w, %b, %q, %s, %t) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=2 prologue=Relu epilogue=Relu
%y = Pool(%c) kind=avg kernel=[4,4] strides=[2,2] pads=[1,1,1,1] extra=[1,1] dilations=[1,1] countPad=true
output "y" %y
`},
		Float32, tile{32, 32, 16, 4, 4}, 2,
		[][2]string{
			{"        if (tile + 1 < last) keep(b ^ 1);\n        __syncthreads();", "        if (tile + 1 < last) keep(b ^ 1);"},
			{"        keep(0);\n    }\n    __syncthreads();", "        keep(0);\n    }"},
			{"const int b = (tile - first) & 1;", "const int b = 0;"},
			{"keep(b ^ 1)", "keep(b)"},
			{"if (p >= D::P) continue;", "if (p > D::P) continue;"},
			{"row(i), D::P - 1)", "row(i), D::P - 2)"},
			{"row(i), D::P - 1)", "row(i), D::P)"},
			{"h < 0 || h >= S::H || w < 0 || w >= S::W)) return zero4();", "h < 0 || h > S::H || w < 0 || w >= S::W)) return zero4();"},
			{"h < 0 || h >= S::H || w < 0 || w >= S::W)) return zero4();", "h < 0 || h >= S::H || w < -1 || w >= S::W)) return zero4();"},
			{"h < 0 || h >= S::H || w < 0 || w >= S::W)) return zero4();", "h < 0 || h >= S::H || w < 0 || w >= S::W - 1)) return zero4();"},
			{"xs[b][k + 1][r]", "xs[b][k + 2][r]"},
			{"last = min(first + D::PART, D::TILES)", "last = first + D::PART + 1"},
			{"blockIdx.z % S::SPLITS", "0"},
			{"const int f = blockIdx.z / S::SPLITS * S::C + c;\n                const float4", "const int f = c;\n                const float4"},
			{"t / (S::BN / 4)) * D::MP", "t / (S::BN / 4)) * (D::MP - 4)"},
			{"j * (S::BN / RN) + tx * 4]", "j * (S::BN / RN) + ty * 4]"},
			{"i / 4 * (S::BM / RM) + ty * 4 + i % 4", "i / 4 * (S::BM / RM) + ty * 4 + i % 3"},
			{"if (i >= D::P * Q) return;", "if (i > D::P * Q) return;"},
			{"if (i >= D::P * Q) return;", "if (i >= D::P * Q - 6) return;"},
			{"if (m >= S::M) return;", "if (m > S::M) return;"},
			{"h < S::H + S::BH", "h <= S::H + S::BH"},
			{"l >= 0 && l < S::W;", "l >= 0 && l <= S::W;"},
		}},
	{ // elements instead of vectors
		[]string{`input %x : f32[1,3,6,7]
const %w : f32[13,3,3,3] = seed=3
%y = Conv(%x, %w) strides=[2,1] pads=[0,1,1,1] dilations=[1,1] groups=1
output "y" %y
`},
		Float32, tile{32, 32, 16, 4, 4}, 1,
		[][2]string{
			{"if (c < S::C && !", "if (c <= S::C && !"},
			{"if (m + i >= S::M) return;", "if (m + i > S::M) return;"},
			{"c = (k + j) / (S::KH * S::KW)", "c = (k + j) / S::KH"},
			{"top[i] + tap / S::KW * S::DH, w = left[i] + tap % S::KW * S::DW;\n                e[j]", "top[i] + tap / S::KH * S::DH + 1, w = left[i] + tap % S::KW * S::DW;\n                e[j]"},
		}},
	{ // tensor cores, with integers that they represent
		[]string{integerConv}, TF32, tile{32, 32, 16, 16, 16}, 2,
		append([][2]string{
			{"xs[b][q + 1][r] = word_tf32(v.y);", "xs[b][q + 1][r] = word_tf32(v.z);"},
		}, fragments...)},
	{
		[]string{integerConv}, F16, tile{32, 32, 32, 16, 16}, 1,
		append([][2]string{
			{"xs[b][q + 1][r] = word_half(v.z, v.w);", "xs[b][q + 1][r] = word_half(v.w, v.z);"},
		}, fragments...)},
	{
		[]string{`input %x : f32[2,300]
const %w : f32[300,9] = seed=1
%y = Dense(%x, %w)
output "y" %y
`, `input %x : f32[2,302]
const %w : f32[302,9] = seed=1
%y = Dense(%x, %w)
output "y" %y
`, `input %x : f32[2,70]
%y = Softmax(%x) axes=[1]
output "y" %y
`, `input %x : f32[2,9,5,7]
const %i : f32[9,1,3,3] = seed=1
%v = Conv(%x, %i) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=9
%y = Reduce(%v) fn=mean axes=[2,3]
%z = Pool(%v) kernel=[2,2] strides=[2,2] pads=[0,0,1,1] dilations=[1,1]
output "y" %y
output "z" %z
`},
		Float32, tile{32, 32, 16, 4, 4}, 1,
		[][2]string{
			{"    __syncthreads();\n    const int r = threadIdx.x / S::N", "    const int r = threadIdx.x / S::N"},
			{"r >= 8 / S::WARPS || to >= S::M", "r >= 8 / S::WARPS || to > S::M"},
			{"if (q * 4 + 2 < S::K)", "if (q * 4 + 2 <= S::K)"},
			{"int d = 16; d > 0; d /= 2) acc[n]", "int d = 8; d > 0; d /= 2) acc[n]"},
			{"q += S::WARPS * 32", "q += S::WARPS * 32 + 1"},
			{"    __syncthreads(); // the readers of the fold before are done\n", ""},
			{"scratch[threadIdx.x / 32] = v;\n    __syncthreads();", "scratch[threadIdx.x / 32] = v;"},
			{"for (int i = 1; i < 8; i++) v = f(v", "for (int i = 1; i < 2; i++) v = f(v"},
			{"part[row][lane] = s;\n    __syncthreads();", "part[row][lane] = s;"},
			{"p += 8) s +=", "p += 7) s +="},
			{"if (row > 0 || c >= C) return;", "if (row > 0 || c > C) return;"},
			{"(kh * S::KW + kw) * C4", "(kh * S::KW + kw + 1) * C4"},
			{"if (S::PADDED && (h < 0 || h >= S::H || l < 0 || l >= S::W)) continue;", "if (S::PADDED && (h < 0 || h > S::H || l < 0 || l >= S::W)) continue;"},
			{"binary_max<float>(a.w, v.w)", "binary_max<float>(a.w, v.z)"},
		}},
	{ // integers, in tiles and by warps
		[]string{`input %x : u8[1,10,6,7]
const %w : i8[20,5,3,3] = seed=3
const %m : f32[] = {0.001}
%y = Conv(%x, %w, _, _, _, _, %m) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=2 integer=u8(131,7,0,255)
output "y" %y
`, `input %x : i8[2,170]
const %w : i8[170,11] = seed=3
%y = Dense(%x, %w) transW=false integer=i32(3,0,0,0)
output "y" %y
`},
		Float32, tile{}, 1,
		[][2]string{
			{"        }\n        __syncthreads();\n    }\n#pragma unroll", "        }\n    }\n#pragma unroll"},
			{"blockIdx.y * BN + t % BN];\n        __syncthreads();", "blockIdx.y * BN + t % BN];"},
			{"X e = X(zero);", "X e = X(0);"},
			{"zero - 128 : zero", "zero : zero"},
			{"int(x) ^ 0x80 : int(x)", "int(x) : int(x)"},
			{"if (p >= P) continue;", "if (p > P) continue;"},
			{"% BM, P - 1)", "% BM, P)"},
			{"% BM, P - 1)", "% BM, P - 2)"},
			{"h < 0 || h >= S::H || l < 0", "h < 0 || h > S::H || l < 0"},
			{"l >= S::W))) e =", "l >= S::W - 1))) e ="},
			{"c < S::C && !(", "c <= S::C && !("},
			{"f = group * S::M + m;", "f = m;"},
			{"if (m < S::M) store", "if (m <= S::M) store"},
			{"group * TILES + tile", "tile"},
			{"&ws[q][ty * 4]", "&ws[q][tx * 4]"},
			{"k < S::K ? x[", "k <= S::K ? x["},
			{"lane == 0 && f < S::M", "lane == 0 && f <= S::M"},
			{"q += 32) {", "q += 31) {"},
		}},
}

const integerConv = `input %x : f32[1,16,5,7]
const %i : f32[16,1,1,1] = {1,2,1,1,1,-1,1,1,1,1,2,1,1,1,1,1}
const %p : f32[24] = {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23}
const %q : f32[16] = {0,1,2,-3,4,5,-6,7,8,9,10,-11,12,13,-14,15}
const %s : f32[24,1,1,1] = {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23}
const %t : f32[1,16,3,3] = seed=3
%u = Unary(%t) fn=Round
%k = Binary(%u, %s) fn=Add
%v = Conv(%x, %i, %q) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=16 epilogue=Round
%y = Conv(%v, %k, %p) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
output "y" %y
`

// fragments are mistakes in conv_tensor of both precisions.
var fragments = [][2]string{
	{"xf[i][1] = xs[b][k + t][r + 8];", "xf[i][2] = xs[b][k + t][r + 8];"},
	{"xf[i][2] = xs[b][k + t + 4][r];", "xf[i][2] = xs[b][k + t + 1][r];"},
	{"const int r = row + i * 16 + g;", "const int r = row + i * 16 + t;"},
	{"wf[j][1] = ws[b][k + t + 4]", "wf[j][1] = ws[b][k + t]"},
	{"wf[j][0] = ws[b][k + t][column + j * 8 + g]", "wf[j][0] = ws[b][k + g][column + j * 8 + t]"},
	{"odd ? d[0] : d[2], 1)", "odd ? d[2] : d[0], 1)"},
	{"+ g + (odd ? 8 : 0);", "+ g + (odd ? 0 : 8);"},
	{"column + j * 8 + t / 2 * 4;", "column + j * 8 + t % 2 * 4;"},
	{"warp / (S::BN / S::WN) * S::WM", "warp % (S::BN / S::WN) * S::WM"},
	{"        if (tile + 1 < last) keep(b ^ 1);\n        __syncthreads();", "        if (tile + 1 < last) keep(b ^ 1);"},
	{"k += 8) {", "k += 16) {"},
}

// Each of these mistakes in device code is reported, by a check or by a wrong result.
func TestMutations(t *testing.T) {
	for i, set := range mutants {
		if i > 1 && !*long {
			continue
		}
		list := append([][2]string{{}}, set.mutations...)
		var graphs []*ir.Graph
		for range list {
			for _, text := range set.graphs {
				g, err := ir.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := passes.Run(g, &passes.Config{Only: []string{"fold_constants"}}); err != nil {
					t.Fatal(err)
				}
				graphs = append(graphs, g)
			}
		}
		choose := func(p, m, k, groups int, _ Precision) (tile, int) { return set.tile, set.splits }
		e := emulateEach(t, graphs, Config{Precision: set.precision}, choose, func(i int, source string) string {
			m := list[i/len(set.graphs)]
			return fmt.Sprintf("namespace n%d {\n%s}\n", i, strings.ReplaceAll(source, m[0], m[1]))
		})
		for i, m := range list {
			var errs []string
			for k := range set.graphs {
				at := i*len(set.graphs) + k
				if err := e.compare(at, graphs[at], 3); err != nil {
					errs = append(errs, err.Error())
				}
			}
			if i == 0 && errs != nil {
				t.Fatalf("without a mutation: %s", errs)
			}
			if i > 0 && errs == nil {
				t.Errorf("%q instead of %q is not reported", m[1], m[0])
			}
			t.Logf("%q: %.150s", m[1], strings.Join(errs, "; "))
		}
	}
}
