package kernel_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"modelc/backend/cpu"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

var verifyAll = flag.Bool("verify.all", false, "mutate more kernels of each type in TestVerifierMutations")

// kernelType returns the name of a kernel's type without its type parameters.
func kernelType(k any) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", k), "*"), "[")
	return name
}

// edit changes one field of a kernel. apply gets a copy of the kernel.
type edit struct {
	what  string
	apply func(root reflect.Value)
	byOne bool // a number grows or shrinks by one
}

// edits lists changes of each field at v and below it. path finds the same field in a
// copy of the kernel.
func edits(v reflect.Value, name string, path func(root reflect.Value) reflect.Value) (list []edit) {
	set := func(what string, f func(v reflect.Value)) {
		list = append(list, edit{what: name + what, apply: func(root reflect.Value) { f(path(root)) }})
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			list = append(list, edits(v.Field(i), name+"."+f.Name, func(root reflect.Value) reflect.Value { return path(root).Field(i) })...)
		}
	case reflect.Slice:
		n := v.Len()
		for _, i := range slices.Compact([]int{0, n / 2, n - 1}) {
			if i < 0 || i >= n {
				continue
			}
			list = append(list, edits(v.Index(i), fmt.Sprintf("%s[%d]", name, i), func(root reflect.Value) reflect.Value { return path(root).Index(i) })...)
		}
		if n > 0 {
			set(" without the last", func(v reflect.Value) { v.Set(v.Slice(0, n-1)) })
			set(" twice", func(v reflect.Value) { v.Set(reflect.AppendSlice(v.Slice(0, n), v.Slice(0, n))) })
			set(" = nil", func(v reflect.Value) { v.SetZero() })
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		x := v.Int()
		values := []int64{x - 1, x + 1, x + 16, 2 * x, 2*x + 1, x / 2, -x, 0, 1, -1, x - 16, x + 4, x - 4, 1 << 20, 1<<20 + 1, -1 << 20, 1 << 29, 1<<31 - 1, -1 << 31}
		if v.Kind() != reflect.Int32 {
			values = append(values, 1<<32, 1<<33+x, 1<<58, math.MaxInt64, math.MinInt64, math.MinInt64+x, math.MaxInt64/2)
		}
		slices.Sort(values)
		for _, y := range slices.Compact(values) {
			if y != x && !v.OverflowInt(y) {
				set(fmt.Sprintf(" = %d, was %d", y, x), func(v reflect.Value) { v.SetInt(y) })
				list[len(list)-1].byOne = y-x == 1 || x-y == 1
			}
		}
	case reflect.Uint8:
		x := v.Uint()
		for _, y := range []uint64{0, 1, 2, 3, 4, 5, x + 1, 44, 100, 255} {
			if y != x && y < 256 {
				set(fmt.Sprintf(" = %d, was %d", y, x), func(v reflect.Value) { v.SetUint(y) })
			}
		}
	case reflect.Bool:
		set(" negated", func(v reflect.Value) { v.SetBool(!v.Bool()) })
	case reflect.Float32, reflect.Float64, reflect.Int8, reflect.Int16, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		// They are values, and no code derives an address or a count from them.
	default:
		panic("no edits for " + v.Kind().String())
	}
	return list
}

// noise is what mutated kernels read.
var noise = func() []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1<<16+1)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}()

// pairs returns n pairs of edits by one. Together, changes can compensate for each
// other: a column more and a border less.
func pairs(list []edit, n int, rng *rand.Rand) (both []edit) {
	var small []edit
	for _, e := range list {
		if e.byOne {
			small = append(small, e)
		}
	}
	if len(small) == 0 {
		return nil
	}
	for range n {
		a, b := small[rng.IntN(len(small))], small[rng.IntN(len(small))]
		both = append(both, edit{what: a.what + " and " + b.what, apply: func(root reflect.Value) { a.apply(root); b.apply(root) }})
	}
	return both
}

// tally counts the mutations of kernels. Some of those that were not rejected need too
// much scratch memory to run.
type tally struct{ kernels, tried, rejected, large int }

func (c *tally) String() string {
	return fmt.Sprintf("%3d kernels, %6d mutations, %6d rejected, %6d run", c.kernels, c.tried, c.rejected, c.tried-c.rejected-c.large)
}

// small are convolutions of few pixels by algorithms that need more to be fast.
const small = `graph "small"
input %x : f32[1,32,5,6]
const %w : f32[64,32,1,1] = seed=1
const %v : f32[20,32,3,3] = seed=2
const %u : f32[20,32,5,5] = seed=3
const %b : f32[64] = seed=4
const %scale : f32[] = {0.05}
const %zero : u8[] = {7}
const %multiplier : f32[] = {0.01}
const %iw : i8[20,32,3,3] = seed=5
const %id : i8[32,1,3,3] = seed=6
const %it : i8[64,32,3,3] = seed=7
input %volume : u8[1,2,3,4,3]
%bytes : u8[1,32,5,6] = Quantize(%x, %scale, %zero) to=u8
%integers : u8[1,20,5,6] = Conv(%bytes, %iw, _, _, _, _, %multiplier) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 integer=u8(7,3,0,255)
%tiers : u8[1,64,5,6] = Conv(%bytes, %it, _, _, _, _, %multiplier) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 integer=u8(7,3,0,255)
%depthwise : u8[1,32,5,6] = Conv(%bytes, %id, _, _, _, _, %multiplier) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=32 integer=u8(7,3,0,255)
%stride : u8[1,20,4,3] = Conv(%bytes, %iw, _, _, _, _, %multiplier) strides=[1,2] pads=[1,1,0,1] dilations=[1,1] groups=1 integer=u8(7,3,0,255)
%pooled : u8[1,20,2,2] = Pool(%stride) kind=max kernel=[3,2] strides=[2,2] pads=[1,1,0,0] dilations=[1,1] countPad=false
%average : u8[1,2,2,3,2] = QAveragePool(%volume) to=u8 kernel=[2,2,2] strides=[1,1,1] pads=[0,0,0,0,0,0] dilations=[1,1,1] xScale=0.5 yScale=0.25
%sum : u8[1,32,5,6] = QBinary(%bytes, %depthwise) fn=Add to=u8 aScale=0.5 bScale=0.25 aZero=7 bZero=3 yZero=5 lo=0 hi=255
output "l" %sum
output "h" %integers
output "i" %depthwise
output "j" %average
output "k" %pooled
output "l" %tiers
%p : f32[1,32,5,6] = Unary(%x) fn=Relu
%strassen : f32[1,64,5,6] = Conv(%p, %w, %b) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1 epilogue=Relu
%q : f32[1,64,3,3] = Slice(%strassen) start=[0,0,0,0] count=[1,64,3,3] step=[1,1,2,1]
%winograd2 : f32[1,20,5,6] = Conv(%p, %v) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%winograd4 : f32[1,20,5,6] = Conv(%p, %v) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%dilated : f32[1,20,5,6] = Conv(%p, %v) strides=[1,1] pads=[2,2,2,2] dilations=[2,2] groups=1
%five : f32[1,20,5,6] = Conv(%p, %u) strides=[1,1] pads=[2,2,2,2] dilations=[1,1] groups=1
%strided : f32[1,20,4,2] = Conv(%p, %v) strides=[2,2] pads=[2,0,2,0] dilations=[1,1] groups=1
%strassen2 : f32[1,64,3,3] = Conv(%p, %w, _, %q) strides=[2,2] pads=[0,0,0,0] dilations=[1,1] groups=1
output "a" %strassen
output "g" %strassen2
output "b" %winograd2
output "c" %winograd4
output "d" %dilated
output "e" %five
output "f" %strided
`

// kernels returns kernels of every type, the smallest of each combination of fields
// that are zero, from small graphs and the networks of the zoo.
func kernels(t *testing.T, random int) map[string][]*isolated {
	t.Helper()
	found := map[string]*isolated{}
	collect := func(_ string, p *cpu.Program) {
		for i, s := range slices.Concat(p.Plan.Load, p.Plan.Steps) {
			k, err := isolate(p.Plan, s, i < len(p.Plan.Load))
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			var zero strings.Builder
			form(reflect.ValueOf(k.kernel).Elem(), &zero)
			key := fmt.Sprintf("%T %s", k.kernel, &zero)
			if old := found[key]; old == nil || k.bytes() < old.bytes() {
				found[key] = k
			}
		}
	}
	cases(t, random, func(_ string, g *ir.Graph) { programs(t, g, collect) })
	for _, name := range zoo.Names() {
		programs(t, zooGraph(t, name), collect)
	}
	g, err := ir.Parse(small)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cpu.Build(g, cpu.Config{Algorithms: map[string]string{"strassen": "strassen", "winograd2": "winograd2", "winograd4": "winograd4",
		"dilated": "winograd2", "five": "winograd2", "strided": "winograd-strided", "strassen2": "strassen", "integers": "winograd-integer"}})
	if err != nil {
		t.Fatal(err)
	}
	collect("", p)
	byType := map[string][]*isolated{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		k := found[key]
		byType[kernelType(k.kernel)] = append(byType[kernelType(k.kernel)], k)
	}
	for _, list := range byType {
		slices.SortStableFunc(list, func(a, b *isolated) int { return a.bytes() - b.bytes() })
	}
	return byType
}

// form writes which fields of a kernel are zero.
func form(v reflect.Value, b *strings.Builder) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			form(v.Field(i), b)
		}
	case v.IsZero():
		b.WriteByte('0')
	default:
		b.WriteByte('1')
	}
}

// bytes returns the size of the memory that a kernel touches.
func (k *isolated) bytes() (n int) {
	for _, r := range k.regions {
		n += r.to - r.from
	}
	return n
}

// The verifier accepts all kernels of compiled programs. It rejects a kernel after a change
// of one field, or small changes of two, or the kernel stays inside its memory. The test runs
// such kernels between protected pages, at both ends, in Go and in the best tier.
func TestVerifierMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector, which has nothing to find here")
	}
	each, random := 3, 30
	if *verifyAll {
		each, random = 25, 300
	}
	list := kernels(t, random)
	total := tally{}
	for _, name := range kernelTypes(t) {
		t.Run(name, func(t *testing.T) {
			c := tally{}
			for i, k := range list[name][:min(each, len(list[name]))] {
				if i == 0 || k.bytes() < mostBytes {
					k.mutate(t, &c)
				}
			}
			t.Log(&c)
			if c.rejected == 0 || c.rejected == c.tried {
				t.Errorf("%d mutations of %d were rejected", c.rejected, c.tried)
			}
			total.kernels += c.kernels
			total.tried += c.tried
			total.rejected += c.rejected
			total.large += c.large
		})
	}
	t.Log(&total)
}

// mostBytes is the maximum size of the operands of mutated kernels, except the smallest.
const mostBytes = 160 << 10

// mostScratch is the maximum size of the scratch memory with which mutated kernels run.
const mostScratch = 1 << 20

// mutate tries all edits of the kernel, and counts them in c.
func (k *isolated) mutate(t *testing.T, c *tally) {
	t.Helper()
	c.kernels++
	original := k.kernel
	defer func() { k.set(original) }()
	identity := func(v reflect.Value) reflect.Value { return v }
	best := simd.Active()
	defer simd.Use(best)
	list, most := edits(reflect.ValueOf(original).Elem(), "", identity), 50
	if *verifyAll {
		most = 500
	}
	for _, e := range append(list, pairs(list, most, rand.New(rand.NewPCG(3, uint64(c.tried))))...) {
		changed := clone(original)
		e.apply(reflect.ValueOf(changed).Elem())
		k.set(changed)
		c.tried++
		if k.plan.Verify(nil) != nil {
			c.rejected++
			continue
		}
		if changed.ScratchBytes() > mostScratch {
			c.large++
			continue
		}
		slow := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("%T%s does not end: %+v", original, e.what, changed)) })
		for _, tier := range []*simd.Tier{simd.All[0], best} {
			simd.Use(tier)
			if k.plan.Verify(nil) != nil {
				continue
			}
			fill := func(_ int, b []byte) {
				for len(b) > 0 {
					b = b[copy(b, noise):]
				}
			}
			try := func(threads int, atEnd bool) {
				if err := k.run(threads, atEnd, fill, func(int, []byte) {}); err != nil {
					t.Errorf("%s, %T%s, at the end %t: %v\n%+v", tier.Name, original, e.what, atEnd, err, changed)
				}
			}
			try(1, true)
			try(1, false)
			if *verifyAll { // a fault of another worker would end the test
				try(3, true)
			}
		}
		slow.Stop()
		simd.Use(best)
	}
}

// set replaces the kernel.
func (k *isolated) set(changed kernel.Kernel) {
	k.kernel = changed
	steps := k.plan.Steps
	if k.load {
		steps = k.plan.Load
	}
	steps[0].Kernel = changed
}

// zooGraph returns a narrow network of the zoo.
func zooGraph(t *testing.T, name string) *ir.Graph {
	t.Helper()
	o := zoo.Options{Width: 0.25, Size: 64}
	if strings.HasPrefix(name, "lenet") {
		o = zoo.Options{}
	}
	path := filepath.Join(t.TempDir(), name+".onnx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(zoo.Write(f, name, o), f.Close()); err != nil {
		t.Fatal(err)
	}
	m, err := frontend.Load(path, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Graph
}

// kernelTypes returns the names of all types with a method Check.
func kernelTypes(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.go", "*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range checkMethod.FindAllSubmatch(src, -1) {
				pkg := filepath.Dir(f)
				if pkg == "." {
					pkg = "kernel"
				}
				names = append(names, pkg+"."+string(m[1]))
			}
		}
	}
	if len(names) < 40 {
		t.Fatalf("%d types of kernels found", len(names))
	}
	return names
}

var checkMethod = regexp.MustCompile(`(?m)^func \(k \*(\w+)(?:\[.*\])?\) Check\(`)
