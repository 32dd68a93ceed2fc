// A CUDA driver without a GPU: the functions of libcuda that the launcher calls, on the
// host's memory, with kernels that the shim compiled. It is stricter than a driver:
//
//   - A stream executes nothing before cuStreamSynchronize, so that a missing wait leaves
//     old values.
//   - New memory holds NaNs. Every pointer must lie in an allocation of the right device.
//   - A thread needs a current context.
//
// Environment variables, read by cuInit, or emulator_set with the same names:
//
//   EMULATOR_DEVICES      number of devices, 1 by default
//   EMULATOR_KERNELS      library of the kernels, unless the PTX names it
//   EMULATOR_FAIL_ALLOC   n: the n-th allocation from now on the device fails
//   EMULATOR_FAIL_LAUNCH  n: the n-th execution of a kernel from now on loses the device
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "abi.h"

namespace {

using Address = unsigned long long;
using Result = int;

enum : Result {
    success = 0,
    invalidValue = 1,
    outOfMemory = 2,
    notInitialised = 3,
    noDevice = 100,
    invalidDevice = 101,
    invalidContext = 201,
    invalidPTX = 218,
    invalidHandle = 400,
    notFound = 500,
    launchFailed = 719,
    captureUnsupported = 900,
};

struct Device {
    int users = 0;    // references to the primary context
    bool lost = false;  // until the primary context is destroyed
};

struct Memory {
    size_t bytes;
    int device;  // -1 for pinned memory
    char *start;
};

const size_t guard = 64;  // bytes behind an allocation that nobody may write

struct Kernels {  // a library of the shim
    void *handle;
    std::mutex mutex;  // calls must not overlap
    decltype(&shim_launch) launch;
    std::map<std::string, int> args;  // number of arguments by the kernel's name
    ~Kernels() { dlclose(handle); }
};

struct Function {
    std::shared_ptr<Kernels> kernels;
    std::string name;
    unsigned shared = 48 << 10;  // maximum of dynamic shared memory
};

struct Module {
    std::string ptx;
    std::shared_ptr<Kernels> kernels;
    std::map<std::string, std::unique_ptr<Function>> functions;
};

using Operation = std::function<Result()>;

struct Stream {
    int device;
    std::vector<Operation> queue;
    std::unique_ptr<std::vector<Operation>> captured;
};

struct Event {
    std::chrono::steady_clock::time_point at;
};

std::recursive_mutex mutex;
bool initialised;
std::vector<Device> devices;
std::map<Address, Memory> memories;
std::map<std::string, long long> settings;
std::string kernelsPath, problem;
int objects;  // modules, streams, graphs and events
int pushed;   // contexts on the stacks of all threads
unsigned long long seed;
thread_local std::vector<int> stack;  // devices whose contexts are current

using Lock = std::lock_guard<std::recursive_mutex>;

Result fail(Result r, const std::string &why) {
    problem = why;
    if (getenv("EMULATOR_VERBOSE")) fprintf(stderr, "emulator: %s\n", why.c_str());
    return r;
}

// check returns an error unless the thread has a context of a device that is not lost.
Result check() {
    if (!initialised) return notInitialised;
    if (stack.empty()) return fail(invalidContext, "no current context");
    return devices[stack.back()].lost ? launchFailed : success;
}

// find returns the allocation that contains bytes from p, or null.
const Memory *find(Address p, size_t bytes) {
    auto i = memories.upper_bound(p);
    if (i == memories.begin()) return nullptr;
    --i;
    return p + bytes <= i->first + i->second.bytes ? &i->second : nullptr;
}

// on returns an error unless bytes from p lie in an allocation of a device.
Result on(int device, Address p, size_t bytes) {
    const Memory *m = find(p, bytes);
    if (!m) return fail(invalidValue, "memory outside an allocation");
    if (m->device != device) return fail(invalidValue, "memory of another device");
    return success;
}

Result allocate(int device, Address *to, size_t bytes) {
    if (bytes == 0) return fail(invalidValue, "allocation of 0 bytes");
    void *p = aligned_alloc(256, (bytes + guard + 255) / 256 * 256);
    if (!p) return outOfMemory;
    memset(p, 0xff, bytes + guard);
    *to = (Address)p;
    memories[*to] = {bytes, device, (char *)p};
    return success;
}

bool intact(const Memory &m) {
    for (size_t i = 0; i < guard; i++)
        if ((unsigned char)m.start[m.bytes + i] != 0xff) return false;
    return true;
}

Result release(Address p) {
    auto i = memories.find(p);
    if (i == memories.end()) return fail(invalidValue, "free of no allocation");
    bool ok = intact(i->second);
    free(i->second.start);
    memories.erase(i);
    return ok ? success : fail(launchFailed, "a write behind an allocation");
}

// countdown reports whether the setting was 1, and lowers it.
bool countdown(const char *name) {
    long long &n = settings[name];
    if (n == 0) return false;
    return --n == 0;
}

// enqueue adds an operation to a stream or to the graph that it captures.
Result enqueue(Stream *s, Operation o) {
    (s->captured ? *s->captured : s->queue).push_back(std::move(o));
    return success;
}

Result copy(Address to, Address from, size_t bytes) {
    memmove((void *)to, (void *)from, bytes);
    return success;
}

// open loads a library of kernels.
std::shared_ptr<Kernels> open(const std::string &path) {
    void *h = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!h) {
        fail(notFound, dlerror());
        return nullptr;
    }
    static std::map<void *, std::weak_ptr<Kernels>> opened;  // modules share a library
    if (auto k = opened[h].lock()) {
        dlclose(h);
        return k;
    }
    auto k = std::make_shared<Kernels>();
    opened[h] = k;
    k->handle = h;
    k->launch = (decltype(&shim_launch))dlsym(h, "shim_launch");
    auto count = (decltype(&shim_kernels))dlsym(h, "shim_kernels");
    auto name = (decltype(&shim_kernel))dlsym(h, "shim_kernel");
    auto args = (decltype(&shim_args))dlsym(h, "shim_args");
    for (int i = 0; i < count(); i++) k->args[name(i)] = args(i);
    return k;
}

bool hasEntry(const std::string &ptx, const std::string &name) {
    for (const char *end : {"(", " ", "\n"})
        if (ptx.find(".entry " + name + end) != std::string::npos) return true;
    return false;
}

}  // namespace

extern "C" {

// emulator_set changes a setting.
void emulator_set(const char *name, long long value) {
    Lock l(mutex);
    settings[name] = value;
    if (!strcmp(name, "EMULATOR_DEVICES")) devices.resize(value);
}

// emulator_objects returns the number of allocations, contexts, modules, streams, graphs
// and events that exist.
int emulator_objects() {
    Lock l(mutex);
    int n = objects + pushed + (int)memories.size();
    for (auto &d : devices) n += d.users;
    return n;
}

Result cuInit(unsigned) {
    Lock l(mutex);
    for (const char *name : {"EMULATOR_DEVICES", "EMULATOR_FAIL_ALLOC", "EMULATOR_FAIL_LAUNCH"})
        if (const char *v = getenv(name)) settings[name] = atoll(v);
    if (const char *v = getenv("EMULATOR_KERNELS")) kernelsPath = v;
    if (devices.empty()) devices.resize(settings.count("EMULATOR_DEVICES") ? settings["EMULATOR_DEVICES"] : 1);
    if (devices.empty()) return noDevice;
    initialised = true;
    return success;
}

Result cuDriverGetVersion(int *version) {
    *version = 12090;
    return success;
}

Result cuGetErrorName(Result r, const char **text) {
    static const std::map<Result, const char *> names = {
        {invalidValue, "CUDA_ERROR_INVALID_VALUE"}, {outOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"}, {noDevice, "CUDA_ERROR_NO_DEVICE"},
        {invalidDevice, "CUDA_ERROR_INVALID_DEVICE"}, {invalidContext, "CUDA_ERROR_INVALID_CONTEXT"}, {invalidPTX, "CUDA_ERROR_INVALID_PTX"},
        {invalidHandle, "CUDA_ERROR_INVALID_HANDLE"}, {notFound, "CUDA_ERROR_NOT_FOUND"}, {launchFailed, "CUDA_ERROR_LAUNCH_FAILED"},
        {captureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}, {notInitialised, "CUDA_ERROR_NOT_INITIALIZED"}};
    auto i = names.find(r);
    *text = i == names.end() ? nullptr : i->second;
    return *text ? success : invalidValue;
}

Result cuGetErrorString(Result r, const char **text) {
    Lock l(mutex);
    static thread_local std::string kept;
    kept = problem;
    problem.clear();
    if (kept.empty()) return cuGetErrorName(r, text);
    *text = kept.c_str();
    return success;
}

Result cuDeviceGetCount(int *n) {
    *n = (int)devices.size();
    return success;
}

Result cuDeviceGet(int *device, int i) {
    if (i < 0 || i >= (int)devices.size()) return invalidDevice;
    *device = i;
    return success;
}

Result cuDeviceGetName(char *name, int bytes, int device) {
    snprintf(name, bytes, "emulated device %d", device);
    return success;
}

Result cuDeviceGetAttribute(int *value, int attribute, int) {
    static const std::map<int, int> values = {{13, 1000000}, {16, 4}, {36, 1000000}, {37, 256}, {75, 9}, {76, 0}};
    auto i = values.find(attribute);
    if (i == values.end()) return invalidValue;
    *value = i->second;
    return success;
}

Result cuDeviceTotalMem_v2(size_t *bytes, int) {
    *bytes = 1ull << 30;
    return success;
}

Result cuDevicePrimaryCtxRetain(void **context, int device) {
    Lock l(mutex);
    if (device < 0 || device >= (int)devices.size()) return invalidDevice;
    devices[device].users++;
    *context = (void *)(Address)(device + 1);
    return success;
}

Result cuDevicePrimaryCtxRelease_v2(int device) {
    Lock l(mutex);
    Device &d = devices[device];
    if (d.users == 0) return invalidContext;
    if (--d.users == 0) d.lost = false;  // the context is destroyed
    return success;
}

Result cuCtxPushCurrent_v2(void *context) {
    Lock l(mutex);
    int device = (int)(Address)context - 1;
    if (device < 0 || device >= (int)devices.size() || devices[device].users == 0) return invalidContext;
    stack.push_back(device);
    pushed++;
    return success;
}

Result cuCtxPopCurrent_v2(void **context) {
    Lock l(mutex);
    if (stack.empty()) return invalidContext;
    *context = (void *)(Address)(stack.back() + 1);
    stack.pop_back();
    pushed--;
    return success;
}

Result cuModuleLoadDataEx(void **module, const char *image, unsigned n, const int *options, void **values) {
    Lock l(mutex);
    if (Result r = check()) return r;
    std::string ptx = image, log;
    size_t target = ptx.find(".target sm_");
    if (ptx.find(".version") == std::string::npos || target == std::string::npos)
        log = "no .version or no .target";
    else if (atoi(ptx.c_str() + target + strlen(".target sm_")) > 90)
        log = "the target exceeds compute capability 9.0";
    auto m = std::make_unique<Module>();
    if (log.empty()) {
        const std::string tag = "// emulated by ";
        std::string path = kernelsPath;
        if (ptx.compare(0, tag.size(), tag) == 0) path = ptx.substr(tag.size(), ptx.find('\n') - tag.size());
        if (!(m->kernels = open(path))) log = "the library of kernels, " + path + ", cannot be loaded: " + problem;
    }
    if (!log.empty()) {
        char *to = nullptr;
        for (unsigned i = 0; i < n; i++)
            if (options[i] == 5) to = (char *)values[i];
        for (unsigned i = 0; i < n; i++)
            if (options[i] == 6 && to) snprintf(to, (size_t)values[i], "%s", log.c_str());
        return invalidPTX;
    }
    m->ptx = ptx;
    *module = m.release();
    objects++;
    return success;
}

Result cuModuleUnload(Module *m) {
    Lock l(mutex);
    delete m;
    objects--;
    return success;
}

Result cuModuleGetFunction(Function **f, Module *m, const char *name) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (!hasEntry(m->ptx, name)) return fail(notFound, "the PTX has no .entry " + std::string(name));
    if (!m->kernels->args.count(name)) return fail(notFound, "the emulated kernels have no " + std::string(name));
    auto &p = m->functions[name];
    if (!p) {
        p = std::make_unique<Function>();
        p->kernels = m->kernels;
        p->name = name;
    }
    *f = p.get();
    return success;
}

Result cuFuncSetAttribute(Function *f, int attribute, int value) {
    Lock l(mutex);
    if (attribute != 8 || value < 0 || value > 227 << 10) return fail(invalidValue, "more than 227 KB of shared memory");
    f->shared = value;
    return success;
}

Result cuMemAlloc_v2(Address *p, size_t bytes) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (countdown("EMULATOR_FAIL_ALLOC")) return outOfMemory;
    return allocate(stack.back(), p, bytes);
}

Result cuMemFree_v2(Address p) {
    Lock l(mutex);
    return release(p);
}

Result cuMemHostAlloc(void **p, size_t bytes, unsigned) {
    Lock l(mutex);
    if (Result r = check()) return r;
    return allocate(-1, (Address *)p, bytes);
}

Result cuMemFreeHost(void *p) {
    Lock l(mutex);
    return release((Address)p);
}

Result cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (Result r = on(stack.back(), to, bytes)) return r;
    return copy(to, (Address)from, bytes);
}

Result cuMemcpyHtoDAsync_v2(Address to, Address from, size_t bytes, Stream *s) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (Result r = on(s->device, to, bytes)) return r;
    if (Result r = on(-1, from, bytes)) return r;
    return enqueue(s, [=] { return copy(to, from, bytes); });
}

Result cuMemcpyDtoHAsync_v2(Address to, Address from, size_t bytes, Stream *s) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (Result r = on(-1, to, bytes)) return r;
    if (Result r = on(s->device, from, bytes)) return r;
    return enqueue(s, [=] { return copy(to, from, bytes); });
}

Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream *s) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (Result r = on(s->device, to, bytes)) return r;
    if (Result r = on(s->device, from, bytes)) return r;
    return enqueue(s, [=] { return copy(to, from, bytes); });
}

Result cuMemcpyPeerAsync(Address to, void *toContext, Address from, void *fromContext, size_t bytes, Stream *s) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (Result r = on((int)(Address)toContext - 1, to, bytes)) return r;
    if (Result r = on((int)(Address)fromContext - 1, from, bytes)) return r;
    return enqueue(s, [=] { return copy(to, from, bytes); });
}

Result cuStreamCreate(Stream **s, unsigned) {
    Lock l(mutex);
    if (Result r = check()) return r;
    *s = new Stream{stack.back(), {}, nullptr};
    objects++;
    return success;
}

Result cuStreamDestroy_v2(Stream *s) {
    Lock l(mutex);
    delete s;
    objects--;
    return success;
}

Result cuStreamSynchronize(Stream *s) {
    std::vector<Operation> queue;
    {
        Lock l(mutex);
        if (Result r = check()) return r;
        if (s->captured) return fail(captureUnsupported, "synchronisation of a capture");
        queue.swap(s->queue);
    }
    for (auto &o : queue)
        if (Result r = o()) {
            Lock l(mutex);
            devices[s->device].lost = true;
            return r;
        }
    return success;
}

Result cuStreamBeginCapture_v2(Stream *s, int) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (s->captured) return fail(captureUnsupported, "a capture in a capture");
    s->captured = std::make_unique<std::vector<Operation>>();
    return success;
}

Result cuStreamEndCapture(Stream *s, std::vector<Operation> **graph) {
    Lock l(mutex);
    if (!s->captured) return fail(captureUnsupported, "no capture");
    *graph = s->captured.release();
    objects++;
    return success;
}

Result cuGraphInstantiateWithFlags(std::vector<Operation> **exec, std::vector<Operation> *graph, unsigned long long) {
    Lock l(mutex);
    if (Result r = check()) return r;
    *exec = new std::vector<Operation>(*graph);
    objects++;
    return success;
}

Result cuGraphLaunch(std::vector<Operation> *exec, Stream *s) {
    Lock l(mutex);
    if (Result r = check()) return r;
    for (auto &o : *exec) s->queue.push_back(o);
    return success;
}

Result cuGraphDestroy(std::vector<Operation> *graph) {
    Lock l(mutex);
    delete graph;
    objects--;
    return success;
}

Result cuGraphExecDestroy(std::vector<Operation> *exec) { return cuGraphDestroy(exec); }

Result cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *s,
                      void **params, void **extra) {
    Lock l(mutex);
    if (Result r = check()) return r;
    if (!f || extra) return fail(invalidHandle, "no function");
    if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535) return fail(invalidValue, "extents of the grid");
    if (!bx || !by || !bz || bz > 64 || (unsigned long long)bx * by * bz > 1024) return fail(invalidValue, "extents of the block");
    if (shared > f->shared) return fail(invalidValue, "more shared memory than the function may use");
    std::vector<Address> args(f->kernels->args[f->name]);
    std::vector<shim_extent> extents;
    for (size_t i = 0; i < args.size(); i++) {
        args[i] = *(Address *)params[i];
        if (Result r = on(s->device, args[i], 0)) return r;
        const Memory *m = find(args[i], 0);
        extents.push_back({(void *)args[i], (unsigned long long)((Address)m->start + m->bytes - args[i])});
    }
    return enqueue(s, [=]() mutable -> Result {
        std::vector<void *> pointers;
        for (auto &a : args) pointers.push_back(&a);
        pointers.push_back(nullptr);
        unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
        unsigned long long n;
        {
            Lock l(mutex);
            if (countdown("EMULATOR_FAIL_LAUNCH")) return launchFailed;
            n = seed++;
        }
        std::lock_guard<std::mutex> one(f->kernels->mutex);
        const char *why = f->kernels->launch(f->name.c_str(), grid, block, shared, pointers.data(), extents.data(), n);
        if (!why) return success;
        Lock l(mutex);
        return fail(launchFailed, f->name + ": " + why);
    });
}

Result cuEventCreate(Event **e, unsigned) {
    Lock l(mutex);
    if (Result r = check()) return r;
    *e = new Event;
    objects++;
    return success;
}

Result cuEventDestroy_v2(Event *e) {
    Lock l(mutex);
    delete e;
    objects--;
    return success;
}

Result cuEventRecord(Event *e, Stream *s) {
    Lock l(mutex);
    if (Result r = check()) return r;
    return enqueue(s, [=] {
        e->at = std::chrono::steady_clock::now();
        return success;
    });
}

Result cuEventElapsedTime(float *ms, Event *from, Event *to) {
    Lock l(mutex);
    *ms = std::chrono::duration<float, std::milli>(to->at - from->at).count();
    return success;
}
}
