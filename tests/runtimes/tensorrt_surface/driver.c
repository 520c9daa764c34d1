/* A stand-in for libcuda.so.1 and libnvidia-ml.so.1: one GPU, named by GPU_NAME and GPU_ARCHITECTURE (75 for sm_75),
   for CUDA 12.2 or what GPU_CUDA (13000) says, whose memory is the host's. HANG makes it wait for ever, as a broken driver does. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int architecture(void) { return atoi(getenv("GPU_ARCHITECTURE")); }

int cuInit(unsigned flags) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    while (getenv("HANG")) sleep(1);
    return visible && !*visible ? 100 : 0; /* CUDA_ERROR_NO_DEVICE */
}
int cuDriverGetVersion(int *version) {
    return *version = getenv("GPU_CUDA") ? atoi(getenv("GPU_CUDA")) : 12020, 0;
}
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGet(int *device, int index) { return *device = index, 0; }
int cuDeviceGetName(char *name, int size, int device) {
    return strncpy(name, getenv("GPU_NAME"), size), 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? architecture() / 10 : architecture() % 10;
    return 0;
}
int cuDeviceGetPCIBusId(char *id, int size, int device) {
    return strncpy(id, "0000:00:04.0", size), 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { return *context = malloc(1), 0; }
int cuCtxSetCurrent(void *context) { return context == 0; }
int cuStreamCreate(void **stream, unsigned flags) { return *stream = malloc(1), 0; }
int cuStreamSynchronize(void *stream) { return stream == 0; }
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    return *address = (uint64_t)malloc(bytes), *address == 0;
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    return memcpy((void *)to, from, bytes), stream == 0;
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream) {
    return memcpy((void *)to, (void *)from, bytes), stream == 0;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    return memcpy(to, (void *)from, bytes), stream == 0;
}

int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char *version, unsigned size) {
    return strncpy(version, "535.104.05", size), 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **handle) {
    return *handle = 0, strcmp(id, "0000:00:04.0");
}
int nvmlDeviceGetClockInfo(void *handle, int kind, unsigned *mhz) {
    return *mhz = kind == 1 ? 1590 : 5001, 0;
}
