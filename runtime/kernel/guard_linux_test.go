package kernel_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"syscall"
	"unsafe"

	"modelc/runtime"
	"modelc/runtime/kernel"
)

// guarded is memory between two pages that must not be touched. One end of the memory
// adjoins such a page, the other one a canary.
type guarded struct {
	pages []byte // with the protected ones
	data  []byte
}

var (
	page   = os.Getpagesize()
	unused = map[int][]*guarded{} // by the number of bytes between the protected pages
)

const canary = 0xA5

// guard returns n bytes at the end of their pages, or at the start.
func guard(n int, atEnd bool) (*guarded, error) {
	inner := max(1, (n+page-1)/page) * page
	g := &guarded{}
	if list := unused[inner]; len(list) > 0 {
		g = list[len(list)-1]
		unused[inner] = list[:len(list)-1]
	} else {
		m, err := syscall.Mmap(-1, 0, inner+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err == nil {
			err = errors.Join(syscall.Mprotect(m[:page], syscall.PROT_NONE), syscall.Mprotect(m[page+inner:], syscall.PROT_NONE))
		}
		if err != nil {
			return nil, err
		}
		g.pages = m
	}
	all := g.pages[page : page+inner]
	for i := range all {
		all[i] = canary
	}
	if g.data = all[:n:n]; atEnd {
		g.data = all[inner-n:]
	}
	return g, nil
}

// readOnly makes the memory read-only until release.
func (g *guarded) readOnly() error {
	return syscall.Mprotect(g.pages[page:len(g.pages)-page], syscall.PROT_READ)
}

// release reports whether the canary is intact. It allows other uses of the memory.
func (g *guarded) release() (intact bool) {
	all := g.pages[page : len(g.pages)-page]
	if err := syscall.Mprotect(all, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		panic(err)
	}
	// Whatever lies between the canaries belongs to the data.
	intact = true
	if rest := len(all) - len(g.data); rest > 0 {
		outside := all[:rest]
		if len(g.data) > 0 && &all[0] == &g.data[0] {
			outside = all[len(g.data):]
		}
		intact = bytes.Count(outside, []byte{canary}) == rest
	}
	if len(all) <= 1<<20 && len(unused[len(all)]) < 16 {
		unused[len(all)] = append(unused[len(all)], g)
	} else if err := syscall.Munmap(g.pages); err != nil {
		panic(err)
	}
	return intact
}

// region is a part of a space that operands of a kernel occupy without a gap.
type region struct {
	space    kernel.Space
	from, to int // bytes
	write    bool
}

// isolated is a kernel whose operands lie in regions of their own, and a plan with it
// as its only step. Overlapping operands share a region.
type isolated struct {
	plan    *runtime.Plan
	kernel  kernel.Kernel
	load    bool     // the kernel prepares weights
	regions []region // in the program that the kernel is from
	spaces  []int    // of the regions, in plan
}

// refs calls visit for all operands in a kernel.
func refs(v reflect.Value, visit func(r *kernel.Ref)) {
	switch v.Kind() {
	case reflect.Pointer:
		refs(v.Elem(), visit)
	case reflect.Struct:
		if r, ok := v.Addr().Interface().(*kernel.Ref); ok {
			visit(r)
			return
		}
		for i := range v.NumField() {
			refs(v.Field(i), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			refs(v.Index(i), visit)
		}
	}
}

// clone returns a copy of a kernel that shares no memory with it.
func clone(k kernel.Kernel) kernel.Kernel {
	c := reflect.New(reflect.TypeOf(k).Elem())
	c.Elem().Set(reflect.ValueOf(k).Elem())
	own(c.Elem())
	return c.Interface().(kernel.Kernel)
}

func own(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			own(v.Field(i))
		}
	case reflect.Slice:
		if !v.IsNil() {
			c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(c, v)
			v.Set(c)
		}
		for i := range v.Len() {
			own(v.Index(i))
		}
	}
}

// isolate isolates a step of p.
func isolate(p *runtime.Plan, step runtime.Step, load bool) (*isolated, error) {
	var touched []region
	memory := []kernel.Memory{{Bytes: p.ArenaBytes}, {Bytes: p.WeightsBytes}, {Bytes: p.PreparedBytes}}
	for _, port := range slices.Concat(p.Inputs, p.Outputs) {
		memory = append(memory, kernel.Memory{Bytes: port.Bytes})
	}
	for i := range memory {
		memory[i].Read, memory[i].Write = true, true
	}
	v, err := kernel.NewVerifier(memory)
	if err != nil {
		return nil, err
	}
	v.Touch = func(r kernel.Ref, elem int) {
		if r.Len > 0 {
			touched = append(touched, region{r.Space, r.Off, r.Off + r.Len*elem, false})
		}
	}
	if err := v.Verify(step.Kernel); err != nil {
		return nil, err
	}
	slices.SortFunc(touched, func(a, b region) int {
		if a.space != b.space {
			return int(a.space) - int(b.space)
		}
		return a.from - b.from
	})
	k := &isolated{kernel: clone(step.Kernel), load: load, plan: &runtime.Plan{Double: p.Double}}
	for _, r := range touched {
		if n := len(k.regions); n > 0 && k.regions[n-1].space == r.space && r.from < k.regions[n-1].to {
			k.regions[n-1].to = max(k.regions[n-1].to, r.to)
			continue
		}
		r.write = r.space == kernel.Arena || int(r.space) >= int(kernel.IO)+len(p.Inputs) || load && r.space == kernel.Prepared
		k.regions = append(k.regions, r)
	}
	// Inputs come before outputs.
	slices.SortStableFunc(k.regions, func(a, b region) int {
		switch {
		case a.write == b.write:
			return 0
		case b.write:
			return -1
		}
		return 1
	})
	for i, r := range k.regions {
		n := r.to - r.from
		port := runtime.Port{Name: fmt.Sprint(i), Type: "uint8", Shape: []int{n}, Bytes: n}
		space := int(kernel.IO) + i
		switch {
		case load && r.write:
			space, k.plan.PreparedBytes = int(kernel.Prepared), n
		case load:
			space, k.plan.WeightsBytes = int(kernel.Weights), n
		case r.write:
			k.plan.Outputs = append(k.plan.Outputs, port)
		default:
			k.plan.Inputs = append(k.plan.Inputs, port)
		}
		k.spaces = append(k.spaces, space)
	}
	refs(reflect.ValueOf(k.kernel), func(r *kernel.Ref) {
		if r.Len == 0 {
			if r.Off = 0; !load {
				r.Space = kernel.Arena
			}
			return
		}
		for i, in := range k.regions {
			if r.Space == in.space && r.Off >= in.from && r.Off < in.to {
				r.Space, r.Off = kernel.Space(k.spaces[i]), r.Off-in.from
				return
			}
		}
	})
	step.Kernel = k.kernel
	if load {
		k.plan.Load = []runtime.Step{step}
	} else {
		k.plan.Steps = []runtime.Step{step}
	}
	return k, k.plan.Verify(nil)
}

// fault is an access to a protected page, or to memory that must not be written.
type fault struct{ error }

// run runs the kernel with each region, and the scratch memory of each worker,
// between protected pages. fill writes the contents of a region, take reads them
// after the run. It returns an error if the kernel panics, touches a protected page
// or writes around its memory.
func (k *isolated) run(threads int, atEnd bool, fill, take func(i int, b []byte)) (err error) {
	spaces := make([][]byte, int(kernel.IO)+len(k.regions))
	scratch := k.kernel.ScratchBytes()
	// The memory of the context is small: SetScratch replaces it.
	c := kernel.NewContext(spaces, threads, 0, k.plan.Double, nil)
	defer c.Closer()()
	var used []*guarded
	memory := func(n int) []byte {
		g, e := guard(n, atEnd)
		if e != nil {
			panic(e)
		}
		used = append(used, g)
		return g.data
	}
	for i, r := range k.regions {
		b := memory(r.to - r.from)
		fill(i, b)
		spaces[k.spaces[i]] = b
		if !r.write {
			if err := used[i].readOnly(); err != nil {
				return err
			}
		}
	}
	for w := range threads {
		c.SetScratch(w, memory(scratch))
	}
	func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if p := recover(); p != nil {
				err = fault{fmt.Errorf("%v", p)}
				if a, ok := p.(interface{ Addr() uintptr }); ok {
					err = fault{fmt.Errorf("%w %s", err, where(a.Addr(), used))}
				}
			}
		}()
		k.kernel.Run(c)
	}()
	for i := range k.regions {
		take(i, used[i].data)
	}
	for i, g := range used {
		if !g.release() && err == nil {
			err = fault{fmt.Errorf("it writes around memory %d", i)}
		}
	}
	return err
}

// where describes an address.
func where(at uintptr, used []*guarded) string {
	for i, g := range used {
		start := uintptr(unsafe.Pointer(unsafe.SliceData(g.pages)))
		if at >= start && at < start+uintptr(len(g.pages)) {
			return fmt.Sprintf("at byte %d of memory %d, which has %d", int(at)-int(uintptr(unsafe.Pointer(unsafe.SliceData(g.data)))), i, len(g.data))
		}
	}
	return ""
}
