// The threads of the shim, and its checks. This file is compiled without the compiler's
// instrumentation of memory accesses; kernels.cu is compiled with it if there are checks.
#include "abi.h"
#include "shim.h"
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <vector>
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

struct shim_entry {
    const char *name;
    void *function;
    int args;
};
extern "C" const shim_entry shim_table[]; // ends with a null name

shim_builtins shim_cur;

namespace {

// ---- coroutines ----

const int maxThreads = 1024, stackBytes = 64 << 10;

enum State { unborn, ready, atBarrier, atWarp, done };

struct Thread {
    void *sp;
    char *stack;
    State state;
};

Thread threads[maxThreads];
std::vector<char *> stacks; // free ones
void *schedulerSP;
int current, count; // the thread that runs, and the number of threads in the block
uint64_t seed;

uint32_t draw(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return uint32_t((seed >> 20) % n);
}

#if defined(__x86_64__)
extern "C" void shim_switch(void **save, void *load);
asm(".text\n.hidden shim_switch\n.globl shim_switch\n.type shim_switch,@function\nshim_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
void *newStack(char *stack, void (*start)()) {
    void **top = reinterpret_cast<void **>(stack + stackBytes); // a function begins 8 bytes below a multiple of 16
    *--top = nullptr; // the return address of start, which does not return
    *--top = reinterpret_cast<void *>(start);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    return top;
}
#elif defined(__aarch64__)
extern "C" void shim_switch(void **save, void *load);
asm(".text\n.hidden shim_switch\n.globl shim_switch\n.type shim_switch,%function\nshim_switch:\n"
    "sub sp,sp,#176\n"
    "stp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\nstp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
    "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
    "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\nldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
    "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
    "add sp,sp,#176\nret\n");
void *newStack(char *stack, void (*start)()) {
    void **sp = reinterpret_cast<void **>(stack + stackBytes - 176);
    memset(sp, 0, 176);
    sp[11] = reinterpret_cast<void *>(start); // x30
    return sp;
}
#else
#error "the shim switches stacks on x86-64 and arm64 only"
#endif

char *takeStack() {
    if (stacks.empty()) {
        char *all = static_cast<char *>(mmap(nullptr, size_t(stackBytes) * 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        for (int i = 0; i < 64; i++) stacks.push_back(all + size_t(i) * stackBytes);
    }
    char *s = stacks.back();
    stacks.pop_back();
    return s;
}

// ---- errors ----

const char *kernelName;
char message[512];
bool failed;

// yield gives the processor to the scheduler.
void yield(State s) {
    threads[current].state = s;
    shim_switch(&threads[current].sp, schedulerSP);
}

// fail records the first error and ends the launch.
void fail(bool inThread, const char *format, ...) {
    if (!failed) {
        va_list list;
        va_start(list, format);
        int n = snprintf(message, sizeof message, "%s, block (%u,%u,%u), thread (%u,%u,%u): ", kernelName,
                         shim_cur.blockIdx.x, shim_cur.blockIdx.y, shim_cur.blockIdx.z, shim_cur.threadIdx.x, shim_cur.threadIdx.y, shim_cur.threadIdx.z);
        vsnprintf(message + n, sizeof message - n, format, list);
        va_end(list);
        failed = true;
    }
    if (inThread) yield(done);
}

// ---- warps ----

const int warpSize = 32, maxGive = 8;
// What lanes gave, for two calls: a lane may begin the next call before others have read.
unsigned given[2][maxThreads / warpSize][warpSize * maxGive];
int arrived[maxThreads / warpSize], turn[maxThreads / warpSize];

int lanesOf(int warp) { return std::min(warpSize, count - warp * warpSize); }

// ---- the scheduler ----

void *function;
int numArgs;
void **arguments;

void call() {
    void *a[16];
    for (int i = 0; i < numArgs; i++) a[i] = *static_cast<void **>(arguments[i]);
    typedef void *P;
    switch (numArgs) {
    case 1: return ((void (*)(P))function)(a[0]);
    case 2: return ((void (*)(P, P))function)(a[0], a[1]);
    case 3: return ((void (*)(P, P, P))function)(a[0], a[1], a[2]);
    case 4: return ((void (*)(P, P, P, P))function)(a[0], a[1], a[2], a[3]);
    case 5: return ((void (*)(P, P, P, P, P))function)(a[0], a[1], a[2], a[3], a[4]);
    case 6: return ((void (*)(P, P, P, P, P, P))function)(a[0], a[1], a[2], a[3], a[4], a[5]);
    case 7: return ((void (*)(P, P, P, P, P, P, P))function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    case 8: return ((void (*)(P, P, P, P, P, P, P, P))function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
    default: // a call passes further arguments that the function does not read
        return ((void (*)(P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P))function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]);
    }
}

void threadMain() {
    call();
    yield(done);
    abort();
}

std::vector<int> runnable;

// resume runs a thread until it waits or ends.
void resume(int t) {
    Thread &th = threads[t];
    if (th.state == unborn) {
        th.stack = takeStack();
        th.sp = newStack(th.stack, threadMain);
    }
    current = t;
    const dim3 &b = shim_cur.blockDim;
    shim_cur.threadIdx = {t % b.x, t / b.x % b.y, t / (b.x * b.y)};
    th.state = ready;
    shim_switch(&schedulerSP, th.sp);
    if (th.state == done) stacks.push_back(th.stack);
}

// ---- checks ----

bool checks;
const shim_extent *extents;

// A Cell is the record of a byte: the last write and the last read.
struct Cell {
    uint32_t writeEpoch, writer, readEpoch, reader;
};
const uint32_t many = ~0u;

std::vector<Cell> sharedCells;
uint32_t epoch, blockEpoch; // of shared memory: now, and when the block began

// A Region is global memory that a kernel may access.
struct Region {
    char *start, *end;
    std::vector<Cell> cells;
};
std::vector<Region> regions;
uint32_t launchEpoch;

extern "C" char __bss_start[] __attribute__((visibility("hidden"))), _end[] __attribute__((visibility("hidden"))), __ehdr_start[] __attribute__((visibility("hidden")));

// conflict updates the records of an access and reports whether another thread accessed the
// same bytes without a barrier between.
bool conflict(Cell *c, unsigned size, bool write, uint32_t now, uint32_t me, uint32_t *other) {
    for (unsigned i = 0; i < size; i++, c++) {
        if (c->writeEpoch == now && c->writer != me) {
            *other = c->writer;
            return true;
        }
        if (write) {
            if (c->readEpoch == now && c->reader != me) {
                *other = c->reader;
                return true;
            }
            c->writeEpoch = now, c->writer = me;
        } else if (c->readEpoch != now) {
            c->readEpoch = now, c->reader = me;
        } else if (c->reader != me) {
            c->reader = many;
        }
    }
    return false;
}

void access(void *address, unsigned size, bool write) {
    if (!checks) return;
    char *p = static_cast<char *>(address);
    const char *stack = threads[current].stack;
    if (p >= stack && p < stack + stackBytes) return;
    const char *what = write ? "writes" : "reads";
    uint32_t other;
    if (p >= __bss_start && p < _end) {
        if (p >= reinterpret_cast<char *>(&shim_cur) && p < reinterpret_cast<char *>(&shim_cur + 1)) return;
        if (p >= reinterpret_cast<char *>(given) && p < reinterpret_cast<char *>(given + 2)) return;
        Cell *c = &sharedCells[p - __bss_start];
        if (!write)
            for (unsigned i = 0; i < size; i++)
                if (c[i].writeEpoch < blockEpoch) return fail(true, "reads shared memory that no thread has written");
        if (conflict(c, size, write, epoch, current, &other)) fail(true, "%s shared memory that another thread (%d) accesses before the next barrier", what, int(other));
        return;
    }
    bool inside = false;
    for (int i = 0; i < numArgs; i++) {
        char *start = static_cast<char *>(extents[i].start);
        inside = inside || p >= start && p + size <= start + extents[i].bytes;
    }
    if (!inside) {
        if (!write && p >= __ehdr_start && p < _end) return; // a table
        long long best = 1ll << 62;
        int at = 0;
        for (int i = 0; i < numArgs; i++) {
            long long d = p - static_cast<char *>(extents[i].start);
            if (llabs(d) < llabs(best)) best = d, at = i;
        }
        return fail(true, "%s %u bytes outside its operands: at byte %lld of argument %d, which has %llu", what, size, best, at, extents[at].bytes);
    }
    for (Region &r : regions)
        if (p >= r.start && p < r.end) {
            const uint32_t me = ((shim_cur.blockIdx.z * shim_cur.gridDim.y + shim_cur.blockIdx.y) * shim_cur.gridDim.x + shim_cur.blockIdx.x) * count + current;
            if (conflict(&r.cells[p - r.start], size, write, launchEpoch, me, &other)) fail(true, "%s global memory that another thread (%d of the grid) accesses too", what, int(other));
            return;
        }
}

// beginChecks prepares the records of a launch.
void beginChecks() {
    sharedCells.resize(_end - __bss_start + 16);
    launchEpoch++;
    // Extents that overlap are one region.
    std::vector<Region> next;
    for (int i = 0; i < numArgs; i++) {
        char *start = static_cast<char *>(extents[i].start), *end = start + extents[i].bytes;
        for (size_t k = 0; k < next.size();) {
            if (start < next[k].end && next[k].start < end) {
                start = std::min(start, next[k].start), end = std::max(end, next[k].end);
                next.erase(next.begin() + k);
            } else {
                k++;
            }
        }
        next.push_back({start, end, {}});
    }
    // Records of another launch have another epoch, so that their memory can serve again.
    for (size_t i = 0; i < next.size(); i++) {
        if (i < regions.size()) next[i].cells.swap(regions[i].cells);
        size_t n = next[i].end - next[i].start + 16;
        if (next[i].cells.size() < n) next[i].cells.resize(n);
    }
    regions.swap(next);
}

void runBlock() {
    runnable.clear();
    for (int t = 0; t < count; t++) threads[t].state = unborn, runnable.push_back(t);
    for (int w = 0; w * warpSize < count; w++) arrived[w] = 0;
    blockEpoch = ++epoch;
    int waiting = 0, ended = 0;
    while (!failed) {
        while (!runnable.empty() && !failed) {
            uint32_t k = draw(runnable.size());
            int t = runnable[k];
            runnable[k] = runnable.back();
            runnable.pop_back();
            resume(t);
            switch (threads[t].state) {
            case done: ended++; break;
            case atBarrier: waiting++; break;
            default: {
                int w = t / warpSize;
                if (++arrived[w] < lanesOf(w)) break;
                arrived[w] = 0;
                turn[w] ^= 1;
                for (int i = 0; i < lanesOf(w); i++) runnable.push_back(w * warpSize + i);
            }
            }
        }
        if (failed || ended == count) break;
        if (waiting < count) {
            fail(false, "%d of %d threads wait at a barrier, others wait for their warp or have ended", waiting, count);
            break;
        }
        for (int t = 0; t < count; t++) runnable.push_back(t);
        waiting = 0;
        epoch++;
    }
    if (failed) // the stacks of threads that wait are free again
        for (int t = 0; t < count; t++)
            if (threads[t].state != unborn && threads[t].state != done) stacks.push_back(threads[t].stack);
}

} // namespace

extern "C" {

void shim_barrier(void) { yield(atBarrier); }
int shim_lane(void) { return current % warpSize; }

const unsigned *shim_exchange(const void *give, int n) {
    int w = current / warpSize, lane = current % warpSize, t = turn[w];
    if (n > maxGive) abort();
    if (n) memcpy(&given[t][w][lane * n], give, n * 4);
    yield(atWarp);
    return given[t][w];
}

// shim_tf32 rounds to 10 bits of fraction, ties away from zero.
unsigned shim_tf32(float v) {
    unsigned b;
    memcpy(&b, &v, 4);
    return (b & 0x7f800000) == 0x7f800000 ? b : (b + 0x1000) & ~0x1fffu;
}

// shim_half rounds to half precision, ties to even.
unsigned shim_half(float v) {
    unsigned b;
    memcpy(&b, &v, 4);
    unsigned sign = b >> 16 & 0x8000;
    b &= 0x7fffffff;
    if (b > 0x7f800000) return sign | 0x7e00;
    if (b >= 0x477ff000) return sign | 0x7c00; // rounds to infinity
    if (b < 0x38800000) {                      // subnormal: multiples of 2^-24
        float f;
        memcpy(&f, &b, 4);
        return sign | unsigned(nearbyintf(f * 16777216.0f));
    }
    b += 0xc8000fff + (b >> 13 & 1);
    return sign | (b >> 13 & 0xffff);
}

// shim_float widens an element of half precision.
float shim_float(unsigned h) {
    unsigned e = h >> 10 & 31, f = h & 1023;
    float v = e == 0 ? ldexpf(f, -24) : e == 31 ? (f ? NAN : INFINITY) : ldexpf(1024 + f, int(e) - 25);
    return h & 0x8000 ? -v : v;
}

void shim_fragments(float *d, const unsigned *words, int half) {
    const unsigned *all = shim_exchange(words, 6);
    const int g = shim_lane() / 4, t = shim_lane() % 4;
    for (int i = 0; i < 4; i++) {
        const int row = g + i / 2 * 8, column = 2 * t + i % 2;
        float s = d[i];
        for (int k = 0; k < 8; k++) {
            const unsigned a = all[(row % 8 * 4 + k % 4) * 6 + row / 8 + k / 4 * 2];
            const unsigned b = all[(column * 4 + k % 4) * 6 + 4 + k / 4];
            if (half) {
                s += shim_float(a & 0xffff) * shim_float(b & 0xffff) + shim_float(a >> 16) * shim_float(b >> 16);
            } else {
                float x, y;
                memcpy(&x, &a, 4), memcpy(&y, &b, 4);
                s += x * y;
            }
        }
        d[i] = s;
    }
}

__attribute__((visibility("default"))) int shim_kernels(void) {
    int n = 0;
    while (shim_table[n].name) n++;
    return n;
}
__attribute__((visibility("default"))) const char *shim_kernel(int i) { return shim_table[i].name; }
__attribute__((visibility("default"))) int shim_args(int i) { return shim_table[i].args; }

__attribute__((visibility("default"))) const char *shim_launch(const char *name, const unsigned grid[3], const unsigned block[3], unsigned shared, void **args, const shim_extent *memory, unsigned long long order) {
    kernelName = name;
    failed = false;
    const shim_entry *e = shim_table;
    while (e->name && strcmp(e->name, name)) e++;
    unsigned long long threadsOfBlock = 1ull * block[0] * block[1] * block[2], blocks = 1ull * grid[0] * grid[1] * grid[2];
    if (!e->name || e->args > 16 || shared || threadsOfBlock < 1 || threadsOfBlock > maxThreads || blocks < 1) {
        snprintf(message, sizeof message, "%s: %s", name, !e->name ? "no such kernel" : "the launch is outside the limits of the shim");
        return message;
    }
    function = e->function, numArgs = e->args, arguments = args;
    seed = order * 0x9e3779b97f4a7c15ull + 0x1234567;
    count = int(threadsOfBlock);
    checks = memory != nullptr;
    extents = memory;
    if (checks) beginChecks();
    shim_cur.blockDim = {block[0], block[1], block[2]};
    shim_cur.gridDim = {grid[0], grid[1], grid[2]};
    // Blocks run in a random order too: those of a step that has no factor in common with
    // their number.
    unsigned long long step = 1 + draw(unsigned(std::min(blocks, 1000000ull))), at = draw(unsigned(std::min(blocks, 1000000ull)));
    auto gcd = [](unsigned long long a, unsigned long long b) {
        while (b) {
            unsigned long long r = a % b;
            a = b, b = r;
        }
        return a;
    };
    while (gcd(step, blocks) != 1) step++;
    for (unsigned long long i = 0; i < blocks && !failed; i++, at = (at + step) % blocks) {
        shim_cur.blockIdx = {unsigned(at % grid[0]), unsigned(at / grid[0] % grid[1]), unsigned(at / (1ull * grid[0] * grid[1]))};
        runBlock();
    }
    return failed ? message : nullptr;
}

// The compiler calls these functions before each access to memory, with -fsanitize=thread.
#define SHIM_ACCESS(bytes)                                                                  \
    void __tsan_read##bytes(void *p) { access(p, bytes, false); }                           \
    void __tsan_write##bytes(void *p) { access(p, bytes, true); }                           \
    void __tsan_unaligned_read##bytes(void *p) { access(p, bytes, false); }                 \
    void __tsan_unaligned_write##bytes(void *p) { access(p, bytes, true); }
SHIM_ACCESS(1)
SHIM_ACCESS(2)
SHIM_ACCESS(4)
SHIM_ACCESS(8)
SHIM_ACCESS(16)
void __tsan_read_range(void *p, unsigned long n) { access(p, unsigned(n), false); }
void __tsan_write_range(void *p, unsigned long n) { access(p, unsigned(n), true); }
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_init(void) {}
}
