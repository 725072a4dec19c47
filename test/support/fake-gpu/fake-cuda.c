/*
 * A CUDA driver library without a GPU, for tests: the functions that the preflight's program calls, with "device" memory that is
 * the process's own. FAKE_CUDA says what goes wrong: init=803 (a CUresult of cuInit), launch=719, jit=221, wrong (numbers), hang,
 * crash; FAKE_CUDA_BROKEN is the UUID of the one GPU that it goes wrong with (default: all).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fault(const char *name) {
  const char *said = getenv("FAKE_CUDA");
  const char *broken = getenv("FAKE_CUDA_BROKEN");
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  size_t length = strlen(name);
  if (said == NULL || (broken != NULL && (visible == NULL || strcmp(broken, visible) != 0))) return 0;
  if (strncmp(said, name, length) != 0) return 0;
  return said[length] == '=' ? atoi(said + length + 1) : said[length] == 0 ? 1 : 0;
}

int cuInit(unsigned flags) {
  if (fault("hang")) for (;;) sleep(1);
  if (fault("crash")) abort();
  return flags == 0 ? fault("init") : 1;
}

int cuGetErrorName(int code, const char **text) {
  switch (code) {
    case 214: *text = "CUDA_ERROR_ECC_UNCORRECTABLE"; return 0;
    case 719: *text = "CUDA_ERROR_LAUNCH_FAILED"; return 0;
    case 802: *text = "CUDA_ERROR_SYSTEM_NOT_READY"; return 0;
    case 803: *text = "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"; return 0;
    default: return 1;
  }
}

int cuDeviceGet(int *device, int ordinal) { *device = 40; return ordinal == 0 ? 0 : 101; }

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  if (device != 40) return 101;
  *value = attribute == 75 ? 8 : attribute == 76 ? 9 : -1;
  return *value == -1 ? 1 : 0;
}

static char context, module, function;

int cuDevicePrimaryCtxRetain(void **out, int device) { *out = &context; return device == 40 ? 0 : 101; }
int cuCtxSetCurrent(void *given) { return given == &context ? 0 : 201; }
int cuMemAlloc_v2(uint64_t *out, size_t size) { *out = (uint64_t)(uintptr_t)malloc(size); return 0; }

int cuMemsetD32_v2(uint64_t memory, unsigned value, size_t count) {
  uint32_t *at = (uint32_t *)(uintptr_t)memory;
  while (count-- > 0) *at++ = value;
  return 0;
}

int cuCtxSynchronize(void) { return fault("launch"); }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { memcpy(to, (void *)(uintptr_t)from, size); return 0; }

int cuModuleLoadData(void **out, const char *ptx) {
  int code = fault("jit");
  if (code != 0) return code;
  *out = &module;
  return strstr(ptx, ".target sm_80") != NULL && strstr(ptx, ".entry gpu_run_check") != NULL ? 0 : 218;
}

int cuModuleGetFunction(void **out, void *given, const char *name) {
  *out = &function;
  return given == &module && strcmp(name, "gpu_run_check") == 0 ? 0 : 500;
}

int cuLaunchKernel(void *given, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream,
                   void **params, void **extra) {
  if (given != &function || gy * gz * by * bz != 1 || shared != 0 || stream != NULL || extra != NULL) return 1;
  uint32_t *out = (uint32_t *)(uintptr_t)*(uint64_t *)params[0];
  uint32_t seed = *(uint32_t *)params[1];
  for (uint32_t i = 0; i < gx * bx; i++) out[i] = i * i + seed;
  if (fault("wrong")) out[12345] ^= 1;
  return 0;
}
