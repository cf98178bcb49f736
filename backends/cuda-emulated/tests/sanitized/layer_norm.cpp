// LayerNorm over rows of an odd width, in buffers of just their size; gives 0 if it ran.

#include <cstdio>
#include <cstdlib>
#include <cstdint>

extern "C" const void* lockstep_emulator_find(const char* name);
extern "C" int lockstep_emulator_run(const void* kernel, const unsigned* grid, unsigned threads, std::size_t shared_bytes,
                                     void* const* arguments, uint64_t from, uint64_t to, int descending, uint64_t* failed);

int main() {
    long long rows = 5, width = 71;
    unsigned pieces = 0;
    float epsilon = 1e-5f;
    float* x = static_cast<float*>(std::malloc(rows * width * sizeof(float)));
    float* out = static_cast<float*>(std::malloc(rows * width * sizeof(float)));
    float* gamma = static_cast<float*>(std::malloc(width * sizeof(float)));
    float* beta = static_cast<float*>(std::malloc(width * sizeof(float)));
    float* residual = nullptr;
    for (long long at = 0; at < rows * width; ++at) x[at] = float(at % 13);
    for (long long at = 0; at < width; ++at) gamma[at] = 1.0f, beta[at] = 0.0f;
    void* arguments[] = {&x, &residual, &gamma, &beta, &out, &rows, &width, &pieces, &epsilon};
    unsigned grid[] = {2, 1, 1};
    uint64_t failed = 0;
    const void* kernel = lockstep_emulator_find("layer_norm_f32");
    if (!kernel) return std::fputs("there is no layer_norm_f32\n", stderr), 1;
    return lockstep_emulator_run(kernel, grid, 128, 0, arguments, 0, 2, 0, &failed);
}
