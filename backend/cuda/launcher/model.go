package launcher

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"
)

// Options configures [Open].
type Options struct {
	Device int    // index of the device, in the driver's order; see CUDA_VISIBLE_DEVICES
	Driver string // library of another driver, for tests
}

// Model is a network on a device: its code and weights. It is immutable: any number of
// goroutines may share it, each with a session of its own.
type Model struct{ *loaded }

// loaded is what a model and its sessions hold on the device. The last of them frees it.
type loaded struct {
	*context
	users   atomic.Int32
	closed  atomic.Bool
	weights uintptr
	modules []uintptr
	kernels map[*Program]map[string]uintptr // functions by their names
}

// Code is a program with the PTX of its kernels.
type Code struct {
	*Program
	PTX string
}

// Open loads programs and their weights to a device. The programs are those of several
// batch sizes and share the weights. The driver compiles the PTX for the device and caches
// the result. The caller should call Close. The garbage collector closes a model that is no
// longer used.
func Open(list []Code, weights string, o Options) (*Model, error) {
	d, err := loadDriver(o.Driver)
	if err != nil {
		return nil, err
	}
	c, err := d.retain(o.Device)
	if err != nil {
		return nil, err
	}
	l := &loaded{context: c, kernels: map[*Program]map[string]uintptr{}}
	l.users.Add(1)
	if err := c.do(func() error { return l.load(list, weights) }); err != nil {
		l.done()
		return nil, err
	}
	m := &Model{l}
	runtime.AddCleanup(m, (*loaded).close, l)
	return m, nil
}

// load loads the modules and the weights.
func (l *loaded) load(list []Code, weights string) error {
	for _, c := range list {
		if err := l.loadCode(c); err != nil {
			return err
		}
	}
	var err error
	if l.weights, err = l.alloc(len(weights)); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	if len(weights) == 0 {
		return nil
	}
	return l.call(cuMemcpyHtoD, l.weights, uintptr(unsafe.Pointer(unsafe.StringData(weights))), uintptr(len(weights)))
}

// loadCode loads the module of c and finds its kernels.
func (l *loaded) loadCode(c Code) error {
	l.kernels[c.Program] = map[string]uintptr{}
	if len(c.Kernels) == 0 {
		return nil
	}
	if !strings.Contains(c.PTX, ".entry ") {
		return errors.New("the package has no PTX, because NVRTC was missing when it was generated; kernels.ptx has the command that makes it")
	}
	module, err := l.loadModule(c.PTX)
	if err != nil {
		return err
	}
	l.modules = append(l.modules, module)
	for _, k := range c.Kernels {
		if err := l.loadKernel(c.Program, module, k); err != nil {
			return err
		}
	}
	return nil
}

// loadModule has the driver compile the PTX. The error has the compiler's log.
func (l *loaded) loadModule(ptx string) (uintptr, error) {
	const errorLog, errorLogBytes = 5, 6 // CU_JIT_ERROR_LOG_BUFFER and its size
	text := make([]byte, 8<<10)
	var pin runtime.Pinner // the options hold the address of text as a number
	pin.Pin(&text[0])
	defer pin.Unpin()
	options := []uint32{errorLog, errorLogBytes}
	values := []uintptr{uintptr(unsafe.Pointer(&text[0])), uintptr(len(text))}
	module := new(uintptr)
	err := l.call(cuModuleLoadDataEx, uintptr(unsafe.Pointer(module)), uintptr(unsafe.Pointer(CString(ptx))),
		uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values[0])))
	if err == nil {
		return *module, nil
	}
	log, _, _ := strings.Cut(string(text), "\x00")
	return 0, fmt.Errorf("the driver, for CUDA %d.%d, does not load the PTX on device %d, %s, compute capability %d.%d: %w\n%s",
		l.version/1000, l.version%1000/10, l.index, l.about.Name, l.about.Compute/10, l.about.Compute%10, err, strings.TrimSpace(log))
}

// loadKernel finds the function of k, and allows it the shared memory that it needs.
func (l *loaded) loadKernel(of *Program, module uintptr, k Kernel) error {
	const (
		maxDynamicShared = 8        // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
		usualShared      = 48 << 10 // what a kernel may use without the attribute
	)
	fn := l.kernels[of][k.Name]
	if fn == 0 {
		p := new(uintptr)
		if err := l.call(cuModuleGetFunction, uintptr(unsafe.Pointer(p)), module, uintptr(unsafe.Pointer(CString(k.Name)))); err != nil {
			return fmt.Errorf("kernel %s: %w", k.Name, err)
		}
		fn = *p
		l.kernels[of][k.Name] = fn
	}
	if k.Shared <= usualShared {
		return nil
	}
	if err := l.call(cuFuncSetAttribute, fn, maxDynamicShared, uintptr(k.Shared)); err != nil {
		return fmt.Errorf("kernel %s, %d bytes of shared memory: %w", k.Name, k.Shared, err)
	}
	return nil
}

// Device describes the model's device.
func (m *Model) Device() Device { return m.about }

// Close frees the model on the device. Sessions keep the parts of the model that they
// need until they are closed.
func (m *Model) Close() { m.close() }

func (l *loaded) close() {
	if l.closed.CompareAndSwap(false, true) {
		l.done()
	}
}

// use adds a user of l. It fails after the model was closed.
func (l *loaded) use() error {
	for {
		n := l.users.Load()
		if n == 0 || l.closed.Load() {
			return ErrClosed
		}
		if l.users.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

// done removes a user of l, and frees l after the last.
func (l *loaded) done() {
	if l.users.Add(-1) > 0 {
		return
	}
	_ = l.do(func() error { // the first error is known, or the device is lost
		if l.weights != 0 {
			_ = l.call(cuMemFree, l.weights)
		}
		for _, m := range l.modules {
			_ = l.call(cuModuleUnload, m)
		}
		return nil
	})
	l.release()
}
