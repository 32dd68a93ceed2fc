package runtime

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"modelc/runtime/kernel"
	"modelc/runtime/kernel/plain"
)

// twice returns a plan that copies its input to the arena and then to its output.
func twice(n int) *Plan {
	step := func(name string, src, dst kernel.Ref) Step {
		return Step{name, &plain.StridedCopy[uint32]{Src: src, Dst: dst, Shape: []int{n}, SrcStride: []int{1}, DstStride: []int{1}}}
	}
	in, tmp, out := kernel.Ref{Space: kernel.IO, Len: n}, kernel.Ref{Len: n}, kernel.Ref{Space: kernel.IO + 1, Len: n}
	return &Plan{ArenaBytes: 4 * n,
		Inputs:  []Port{{Name: "x", Type: "uint32", Shape: []int{n}, Bytes: 4 * n}},
		Outputs: []Port{{Name: "y", Type: "uint32", Shape: []int{n}, Bytes: 4 * n}},
		Steps:   []Step{step("first", in, tmp), step("second", tmp, out)},
	}
}

// NewModel refuses plans that would touch memory outside their operands, and says
// which step would.
func TestVerifyPlan(t *testing.T) {
	second := func(p *Plan) *plain.StridedCopy[uint32] { return p.Steps[1].Kernel.(*plain.StridedCopy[uint32]) }
	for _, c := range []struct {
		name string
		edit func(p *Plan)
		want string // in the error, "" for none
	}{
		{"intact", func(p *Plan) {}, ""},
		{"a small arena", func(p *Plan) { p.ArenaBytes-- }, `step "first" (*plain.StridedCopy[uint32]): Dst: 0:0+16, with elements of 4 bytes, is outside its memory of 63 bytes`},
		{"a negative arena", func(p *Plan) { p.ArenaBytes = -1 }, "space 0 has -1 bytes"},
		{"an offset", func(p *Plan) { second(p).Src.Off = 4 }, `step "second"`},
		{"an odd offset", func(p *Plan) { second(p).Src.Off = 2 }, "outside its memory"},
		{"a length", func(p *Plan) { second(p).Src.Len++ }, "outside its memory"},
		{"a length that overflows", func(p *Plan) { second(p).Src.Len = math.MaxInt/4 + 1 }, "outside its memory"},
		{"a negative length", func(p *Plan) { second(p).Src.Len = -1 }, "outside its memory"},
		{"an extent", func(p *Plan) { second(p).Shape[0]++ }, "Src: elements 0 to 16 are outside its 16 elements"},
		{"a stride", func(p *Plan) { second(p).SrcStride[0] = 2 }, "Src: elements 0 to 30"},
		{"a stride that overflows", func(p *Plan) { second(p).SrcStride[0] = math.MinInt }, "outside its 16 elements"},
		{"a missing stride", func(p *Plan) { second(p).SrcStride = nil }, "different numbers of axes"},
		{"a write to the input", func(p *Plan) { second(p).Dst.Space = kernel.IO }, "Dst: the step must not write this memory"},
		{"a read of weights that nothing prepares", func(p *Plan) { second(p).Src, p.PreparedBytes = kernel.Ref{Space: kernel.Prepared, Len: 16}, 64 }, "must not read"},
		{"a space that does not exist", func(p *Plan) { second(p).Dst.Space = kernel.IO + 2 }, "no space 5"},
		{"no kernel", func(p *Plan) { p.Steps[1].Kernel = nil }, `step "second" has no kernel`},
		{"a load step that prepares nothing", func(p *Plan) { p.Load = p.Steps[:1] }, "does not prepare weights"},
		{"the bytes of a port", func(p *Plan) { p.Outputs[0].Bytes = 1 }, `"y" has 1 bytes`},
		{"a loop", func(p *Plan) {
			p.Loop = Loop{Steps: 1, Times: 2, Views: []View{{Space: kernel.IO, Off: 32, Bytes: 16}}}
		}, ""},
		{"a loop of more steps", func(p *Plan) { p.Loop = Loop{Steps: 3, Times: 2} }, "a loop of 3 steps"},
		{"a loop that never runs", func(p *Plan) { p.Loop = Loop{Steps: 1} }, "a loop of 1 steps that runs 0 times"},
		{"a view that leaves its memory", func(p *Plan) {
			p.Loop = Loop{Steps: 1, Times: 2, Views: []View{{Space: kernel.IO, Off: 36, Bytes: 16}}}
		}, "view 0 of the loop"},
		{"a view over a view", func(p *Plan) { p.Loop = Loop{Steps: 1, Times: 1, Views: []View{{Space: kernel.IO + 2}}} }, "view 0 of the loop"},
		{"a view over weights", func(p *Plan) { p.Loop = Loop{Steps: 1, Times: 1, Views: []View{{Space: kernel.Weights}}} }, "view 0 of the loop"},
		{"a write to a view over the input", func(p *Plan) {
			p.Loop = Loop{Steps: 2, Times: 1, Views: []View{{Space: kernel.IO, Bytes: 64}}}
			second(p).Dst.Space = kernel.IO + 2
		}, "must not write"},
		{"a step that leaves a view", func(p *Plan) {
			p.Loop = Loop{Steps: 1, Times: 2, Views: []View{{Space: kernel.IO, Bytes: 32}}}
			p.Steps[0].Kernel.(*plain.StridedCopy[uint32]).Src.Space = kernel.IO + 2
		}, "outside its memory of 32 bytes"},
		{"many ports", func(p *Plan) {
			for range 256 {
				p.Outputs = append(p.Outputs, p.Outputs[0])
			}
		}, "too many"},
	} {
		p := twice(16)
		c.edit(p)
		err := p.Verify(nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if _, again := NewModel(p, nil); (again == nil) != (err == nil) {
			t.Errorf("%s: NewModel: %v, Verify: %v", c.name, again, err)
		}
	}
}

// A session with another plan than that of its model cannot run if the plan is damaged
// or for other weights.
func TestVerifySession(t *testing.T) {
	m, err := NewModel(twice(16), nil)
	if err != nil {
		t.Fatal(err)
	}
	damaged, other := twice(32), twice(32)
	damaged.ArenaBytes = 64
	other.WeightsBytes = 4
	for _, c := range []struct {
		plan *Plan
		want string
	}{{nil, ""}, {twice(32), ""}, {damaged, "outside its memory"}, {other, "other weights"}} {
		s := m.NewSession(Options{Plan: c.plan, Threads: 1})
		err := s.Begin()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if err == nil {
			s.End()
		} else if s.Run() == nil || s.Bind(0, nil) == nil {
			t.Errorf("Run and Bind: no error, want %q", c.want)
		}
		s.Close()
	}
}

// The first steps of a plan run for each example, and the others for the whole batch.
func TestLoop(t *testing.T) {
	const n, times = 4, 3
	p := twice(n * times)
	for i, r := range []*kernel.Ref{&p.Steps[0].Kernel.(*plain.StridedCopy[uint32]).Src, &p.Steps[0].Kernel.(*plain.StridedCopy[uint32]).Dst} {
		*r = kernel.Ref{Space: kernel.IO + 2 + kernel.Space(i), Len: n}
	}
	p.Steps[0].Kernel.(*plain.StridedCopy[uint32]).Shape = []int{n}
	p.Loop = Loop{Steps: 1, Times: times, Views: []View{{Space: kernel.IO, Bytes: 4 * n}, {Space: kernel.Arena, Bytes: 4 * n}}}
	m, err := NewModel(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession(Options{Threads: 1})
	defer s.Close()
	in, out := make([]uint32, n*times), make([]uint32, n*times)
	for i := range in {
		in[i] = uint32(i + 1)
	}
	if err := errors.Join(s.Bind(0, BytesOf(in)), s.Bind(1, BytesOf(out)), s.Run()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(in, out) {
		t.Errorf("got %d, want %d", out, in)
	}
	var runs []string
	s.RunSteps(func(i, run int, st Step) { runs = append(runs, fmt.Sprint(st.Name, i, run)) })
	if got, want := strings.Join(runs, " "), "first0 0 first0 1 first0 2 second1 0"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
}
