/*
 * An NVIDIA management library without a GPU, for tests: it says what the table in the file FAKE_NVML says, a line a fact, anew at
 * each call. Compiled with OLD it has the functions of an old driver alone. Names, numbers and structures are those of nvml.h.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, TIMEOUT = 10, GPU_IS_LOST = 15, NO_TABLE = 999 };
enum { MOST_GPUS = 16 };

typedef struct { int index; } Device;
static Device devices[MOST_GPUS];

/* The value of a key of a GPU (or "*"), or of the n-th of several lines with that key. 0: there is none. */
static int look_up(const char *whose, const char *key, int n, char *value, size_t size) {
  const char *path = getenv("FAKE_NVML");
  FILE *file = path == NULL ? NULL : fopen(path, "r");
  char line[512];
  int found = 0;
  if (file == NULL) return 0;
  while (!found && fgets(line, sizeof line, file) != NULL) {
    char line_whose[32], line_key[64];
    int at = 0;
    if (sscanf(line, "%31s %63s %n", line_whose, line_key, &at) < 2 || at == 0) continue;
    if (strcmp(line_whose, whose) != 0 || strcmp(line_key, key) != 0 || n-- > 0) continue;
    snprintf(value, size, "%s", line + at);
    value[strcspn(value, "\n")] = 0;
    found = 1;
  }
  fclose(file);
  return found;
}

static long long number(const char *whose, const char *key) {
  char value[256];
  return look_up(whose, key, 0, value, sizeof value) ? atoll(value) : 0;
}

static void maybe_hang(void) {
  while (number("*", "hang")) sleep(1);
}

/* Whether the GPU can tell this. */
static int ask(Device *device, const char *key, char *whose) {
  char value[64];
  maybe_hang();
  snprintf(whose, 32, "%d", device->index);
  if (number(whose, "lost")) return GPU_IS_LOST;
  for (int n = 0; look_up(whose, "unsupported", n, value, sizeof value); n++) if (strcmp(value, key) == 0) return NOT_SUPPORTED;
  return OK;
}

static int tell_int(Device *device, const char *key, unsigned *out) {
  char whose[32];
  int code = ask(device, key, whose);
  if (code == OK) *out = (unsigned)number(whose, key);
  return code;
}

static int tell_text(Device *device, const char *key, char *out, unsigned size) {
  char whose[32];
  snprintf(whose, sizeof whose, "%d", device->index);
  return look_up(whose, key, 0, out, size) ? OK : NOT_FOUND;
}

int nvmlInit_v2(void) {
  char said[256];
  maybe_hang();
  return look_up("*", "fail", 0, said, sizeof said) ? DRIVER_NOT_LOADED : getenv("FAKE_NVML") == NULL ? NO_TABLE : OK;
}

const char *nvmlErrorString(int code) { return code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Unknown Error"; }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)number("*", "count"); return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
  if (index >= MOST_GPUS) return NOT_FOUND;
  devices[index].index = (int)index;
  *out = &devices[index];
  return OK;
}

int nvmlDeviceGetUUID(Device *device, char *out, unsigned size) { return tell_text(device, "uuid", out, size); }
int nvmlDeviceGetName(Device *device, char *out, unsigned size) { return tell_text(device, "name", out, size); }
int nvmlDeviceGetPowerUsage(Device *device, unsigned *out) { return tell_int(device, "powerMilliwatts", out); }
int nvmlDeviceGetEnforcedPowerLimit(Device *device, unsigned *out) { return tell_int(device, "powerLimitMilliwatts", out); }
int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *out) { return sensor == 0 ? tell_int(device, "temperature", out) : NOT_SUPPORTED; }
int nvmlDeviceGetClockInfo(Device *device, int type, unsigned *out) { return type == 1 ? tell_int(device, "smClock", out) : NOT_SUPPORTED; }
int nvmlDeviceGetMaxClockInfo(Device *device, int type, unsigned *out) { return type == 1 ? tell_int(device, "smClockMax", out) : NOT_SUPPORTED; }

int nvmlDeviceGetUtilizationRates(Device *device, unsigned *out) {
  int code = tell_int(device, "utilization", out);
  return code == OK ? tell_int(device, "memoryUtilization", out + 1) : code;
}

/* total, free, used: in all, with what the driver keeps for itself */
int nvmlDeviceGetMemoryInfo(Device *device, uint64_t *out) {
  unsigned total, used;
  int code = tell_int(device, "memoryTotalMiB", &total);
  if (code == OK) code = tell_int(device, "memoryUsedMiB", &used);
  if (code != OK) return code;
  out[0] = (uint64_t)total << 20;
  out[2] = ((uint64_t)used + 500) << 20;
  out[1] = out[0] - out[2];
  return OK;
}

static int throttle(Device *device, uint64_t *out) {
  unsigned mask;
  int code = tell_int(device, "throttle", &mask);
  if (code == OK) *out = mask;
  return code;
}

int nvmlDeviceGetTotalEccErrors(Device *device, int type, int counter, uint64_t *out) {
  unsigned count;
  int code = type == 1 && counter == 0 ? tell_int(device, "ecc", &count) : NOT_SUPPORTED;
  if (code == OK) *out = count;
  return code;
}

static int processes(Device *device, unsigned *count, unsigned char *out, size_t entry) {
  char whose[32], value[256];
  unsigned room = *count, n = 0, pid, mib;
  int code = ask(device, "processes", whose);
  if (code != OK) return code;
  for (; look_up(whose, "process", (int)n, value, sizeof value) && sscanf(value, "%u %u", &pid, &mib) == 2; n++) {
    uint64_t used = (uint64_t)mib << 20, protected_bytes = 0;
    uint32_t none = 0xffffffff;
    if (n >= room) continue;
    memcpy(out + n * entry, &pid, 4);
    memcpy(out + n * entry + 8, &used, 8);
    if (entry >= 24) memcpy(out + n * entry + 16, &none, 4), memcpy(out + n * entry + 20, &none, 4);
    if (entry >= 32) memcpy(out + n * entry + 24, &protected_bytes, 8);
  }
  *count = n;
  return n > room ? INSUFFICIENT_SIZE : OK;
}

#ifdef OLD
int nvmlDeviceGetCurrentClocksThrottleReasons(Device *device, uint64_t *out) { return throttle(device, out); }
int nvmlDeviceGetComputeRunningProcesses(Device *device, unsigned *count, unsigned char *out) { return processes(device, count, out, 16); }
#else
int nvmlDeviceGetCurrentClocksEventReasons(Device *device, uint64_t *out) { return throttle(device, out); }
int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, unsigned char *out) {
  return processes(device, count, out, (size_t)number("*", "entry"));
}

/* version, total, reserved, free, used */
int nvmlDeviceGetMemoryInfo_v2(Device *device, uint64_t *out) {
  uint64_t plain[3];
  int code;
  if (*(uint32_t *)out != (40 | 2 << 24)) return 25; /* ARGUMENT_VERSION_MISMATCH */
  code = nvmlDeviceGetMemoryInfo(device, plain);
  if (code != OK) return code;
  out[1] = plain[0];
  out[2] = (uint64_t)500 << 20;
  out[4] = plain[2] - out[2];
  out[3] = out[1] - out[4] - out[2];
  return OK;
}

int nvmlSystemGetProcessName(unsigned pid, char *out, unsigned size) {
  for (int gpu = 0; gpu < MOST_GPUS; gpu++) {
    char whose[32], value[256];
    unsigned each, mib;
    int at = 0;
    snprintf(whose, sizeof whose, "%d", gpu);
    for (int n = 0; look_up(whose, "process", n, value, sizeof value); n++) {
      if (sscanf(value, "%u %u %n", &each, &mib, &at) != 2 || each != pid) continue;
      snprintf(out, size, "%s", value + at);
      return OK;
    }
  }
  return NOT_FOUND;
}

static int registered[MOST_GPUS], told_xid[MOST_GPUS];

int nvmlEventSetCreate(void **out) { *out = devices; return OK; }

int nvmlDeviceRegisterEvents(Device *device, uint64_t types, void *set) {
  if (types != 8 || set != devices) return NOT_SUPPORTED;
  registered[device->index] = 1;
  return OK;
}

int nvmlEventSetWait_v2(void *set, unsigned char *event, unsigned ms) {
  if (set != devices || ms != 0) return 2; /* INVALID_ARGUMENT */
  for (int gpu = 0; gpu < MOST_GPUS; gpu++) {
    char whose[32];
    Device *device = &devices[gpu];
    uint64_t type = 8, data;
    snprintf(whose, sizeof whose, "%d", gpu);
    data = (uint64_t)number(whose, "xid");
    if (!registered[gpu] || data == 0 || (int)data == told_xid[gpu]) continue;
    told_xid[gpu] = (int)data;
    memcpy(event, &device, 8);
    memcpy(event + 8, &type, 8);
    memcpy(event + 16, &data, 8);
    return OK;
  }
  return TIMEOUT;
}
#endif
