/* As much of NVIDIA's driver as the backend calls. It answers what the environment says, so that drivers, GPUs and faults can be
   met that are nowhere at hand; it writes each call to standard error; memory is the host's, and kernels are not run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0,
    OUT_OF_MEMORY = 2,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    COMPUTE_CAPABILITY_MAJOR = 75,
    COMPUTE_CAPABILITY_MINOR = 76,
};

static int number(const char* name) {
    const char* value = getenv(name);
    return value ? atoi(value) : 0;
}

int cuInit(unsigned flags) {
    (void)flags;
    return number("STUB_INIT");
}

int cuDriverGetVersion(int* version) {
    *version = number("STUB_VERSION");
    return SUCCESS;
}

int cuDeviceGetCount(int* count) {
    *count = number("STUB_COUNT");
    return SUCCESS;
}

int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char* name, int length, int device) {
    snprintf(name, (size_t)length, "Stub %d", device);
    return SUCCESS;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
    (void)device;
    int capability = number("STUB_CAPABILITY");
    if (attribute == COMPUTE_CAPABILITY_MAJOR) *value = capability / 10;
    else if (attribute == COMPUTE_CAPABILITY_MINOR) *value = capability % 10;
    else return NOT_SUPPORTED;
    return SUCCESS;
}

int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    (void)device;
    *bytes = (size_t)1 << 30;
    return SUCCESS;
}

typedef void* Handle;

static int is_capturing, has_failed;
static size_t allocated;
static _Thread_local Handle current;

static int said(const char* call, const char* what) {
    fprintf(stderr, "call: %s%s%s%s\n", call, *what ? " " : "", what, is_capturing ? " (captured)" : "");
    return current ? SUCCESS : INVALID_CONTEXT;
}

/* What may not be called while a stream is captured. */
static int outside_captures(const char* call) {
    int code = said(call, "");
    return code != SUCCESS ? code : is_capturing ? CAPTURE_UNSUPPORTED : has_failed ? LAUNCH_FAILED : SUCCESS;
}

static int made(Handle* handle) {
    static char handles[1 << 16];
    static size_t used;
    *handle = &handles[used++];
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(Handle* context, int device) {
    (void)device;
    return made(context);
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    return SUCCESS;
}

int cuCtxSetCurrent(Handle context) {
    current = context;
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t* free, size_t* total) {
    *total = (size_t)number("STUB_MEMORY");
    *free = *total - allocated;
    return SUCCESS;
}

int cuMemAlloc_v2(unsigned long long* address, size_t bytes) {
    int code = outside_captures("cuMemAlloc");
    if (code != SUCCESS) return code;
    if (getenv("STUB_MEMORY") && allocated + bytes > (size_t)number("STUB_MEMORY")) return OUT_OF_MEMORY;
    allocated += bytes;
    *address = (unsigned long long)aligned_alloc(256, (bytes + 255) / 256 * 256);
    return SUCCESS;
}

int cuMemFree_v2(unsigned long long address) {
    free((void*)address);
    return current ? SUCCESS : INVALID_CONTEXT;
}

int cuMemHostAlloc(void** memory, size_t bytes, unsigned flags) {
    (void)flags;
    *memory = malloc(bytes);
    return outside_captures("cuMemHostAlloc");
}

int cuMemFreeHost(void* memory) {
    free(memory);
    return current ? SUCCESS : INVALID_CONTEXT;
}

static int copied(const char* call, void* to, const void* from, size_t bytes) {
    if (!is_capturing) memcpy(to, from, bytes);
    return said(call, "");
}

int cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, size_t bytes, Handle stream) {
    (void)stream;
    return copied("cuMemcpyHtoDAsync", (void*)to, from, bytes);
}

int cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t bytes, Handle stream) {
    (void)stream;
    return copied("cuMemcpyDtoHAsync", to, (const void*)from, bytes);
}

int cuMemcpyAsync(unsigned long long to, unsigned long long from, size_t bytes, Handle stream) {
    (void)stream;
    return copied("cuMemcpyAsync", (void*)to, (const void*)from, bytes);
}

int cuMemsetD8Async(unsigned long long at, unsigned char value, size_t bytes, Handle stream) {
    (void)stream;
    if (!is_capturing) memset((void*)at, value, bytes);
    return said("cuMemsetD8Async", "");
}

int cuStreamCreate(Handle* stream, unsigned flags) {
    (void)flags;
    return made(stream);
}

int cuStreamDestroy_v2(Handle stream) {
    (void)stream;
    return said("cuStreamDestroy", "");
}

int cuStreamSynchronize(Handle stream) {
    (void)stream;
    return outside_captures("cuStreamSynchronize");
}

int cuStreamBeginCapture_v2(Handle stream, int mode) {
    (void)stream;
    (void)mode;
    int code = outside_captures("cuStreamBeginCapture");
    is_capturing = code == SUCCESS;
    return code;
}

int cuStreamEndCapture(Handle stream, Handle* graph) {
    (void)stream;
    is_capturing = 0;
    said("cuStreamEndCapture", "");
    return made(graph);
}

int cuGraphInstantiateWithFlags(Handle* executable, Handle graph, unsigned long long flags) {
    (void)graph;
    (void)flags;
    said("cuGraphInstantiate", "");
    return made(executable);
}

int cuGraphUpload(Handle graph, Handle stream) {
    (void)graph;
    (void)stream;
    return said("cuGraphUpload", "");
}

int cuGraphLaunch(Handle graph, Handle stream) {
    (void)graph;
    (void)stream;
    return outside_captures("cuGraphLaunch");
}

int cuGraphDestroy(Handle graph) {
    (void)graph;
    return said("cuGraphDestroy", "");
}

int cuGraphExecDestroy(Handle graph) {
    (void)graph;
    return said("cuGraphExecDestroy", "");
}

int cuEventCreate(Handle* event, unsigned flags) {
    (void)flags;
    return made(event);
}

int cuEventDestroy_v2(Handle event) {
    (void)event;
    return said("cuEventDestroy", "");
}

int cuEventRecord(Handle event, Handle stream) {
    (void)event;
    (void)stream;
    return outside_captures("cuEventRecord");
}

int cuEventSynchronize(Handle event) {
    (void)event;
    return outside_captures("cuEventSynchronize");
}

int cuEventElapsedTime_v2(float* milliseconds, Handle first, Handle last) {
    (void)first;
    (void)last;
    *milliseconds = 1.5f;
    return SUCCESS;
}

int cuModuleLoadData(Handle* module, const void* image) {
    (void)image;
    int code = outside_captures("cuModuleLoadData");
    made(module);
    return code != SUCCESS ? code : number("STUB_LOAD");
}

int cuModuleUnload(Handle module) {
    (void)module;
    return said("cuModuleUnload", "");
}

/* A function is its name. */
int cuModuleGetFunction(Handle* function, Handle module, const char* name) {
    (void)module;
    *function = strdup(name);
    return SUCCESS;
}

/* What kernels may have of dynamic shared memory, by name; the last word counts, as it does with a driver. */
static struct {
    char name[64];
    unsigned bytes;
} allowances[64];

static unsigned* allowance(const char* name) {
    for (int at = 0; at < 64; ++at) {
        if (!allowances[at].name[0]) {
            strncpy(allowances[at].name, name, sizeof allowances[at].name - 1);
            allowances[at].bytes = 48 << 10;
        }
        if (strcmp(allowances[at].name, name) == 0) return &allowances[at].bytes;
    }
    abort();
}

int cuFuncSetAttribute(Handle function, int attribute, int value) {
    /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
    if (attribute == 8) *allowance(function) = (unsigned)value;
    return said("cuFuncSetAttribute", function);
}

int cuLaunchKernel(Handle function, unsigned x, unsigned y, unsigned z, unsigned block_x, unsigned block_y, unsigned block_z,
                   unsigned shared, Handle stream, void** arguments, void** extra) {
    (void)stream;
    (void)arguments;
    (void)extra;
    const char* faults = getenv("STUB_FAULTS");
    if (faults && strcmp(faults, function) == 0) has_failed = 1;
    int fits = x && y && z && block_x * block_y * block_z <= 1024 && shared <= *allowance(function);
    int code = said("cuLaunchKernel", function);
    return fits ? code : NOT_FOUND;
}

int cuGetErrorString(int error, const char** text) {
    *text = error == 100             ? "no CUDA-capable device is detected"
            : error == 218           ? "a PTX JIT compilation failed"
            : error == LAUNCH_FAILED ? "unspecified launch failure"
                                     : "an error of the stub";
    return SUCCESS;
}
