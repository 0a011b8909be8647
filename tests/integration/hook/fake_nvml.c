/* SPDX-License-Identifier: Apache-2.0 */
/* A libnvidia-ml.so.1 without a GPU: the calls that the hook makes, at NVML's own ABI.
 *
 * What it shows is asked for by the environment, a list of names or numbers with commas each:
 *   FAKE_GPUS         how many there are (2)
 *   FAKE_SLICED       GPUs that are cut in two (MIG); the indices of the slices are 0 and 2
 *   FAKE_UNREACHABLE  GPUs whose handle cannot be had
 *   FAKE_LOST         GPUs that answer nothing but who they are
 *   FAKE_XIDS         GPUs for which three Xids wait, and one event of another kind
 *   FAKE_UNSUPPORTED  calls that this driver does not offer
 *   FAKE_HANG         calls that never return, once they have said so on stdout
 *   FAKE_INIT         what nvmlInit returns (0)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK, UNINITIALIZED, INVALID, NOT_SUPPORTED, NOT_FOUND = 6, TIMEOUT = 10, LOST = 15 };
#define MAX_GPUS 8
#define MIG_SLOTS 7
#define XID 8ULL

struct device { int gpu, slot, waiting; };
struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };
struct event { struct device *device; unsigned long long type, data; }; /* of v2, the start */
struct temperature { unsigned version, sensor; int value; };

static struct device wholes[MAX_GPUS], slices[MAX_GPUS][MIG_SLOTS];
static pid_t initialized_by;

static int asked(const char *variable, const char *word) {
    const char *list = getenv(variable), *at = list;
    size_t length = strlen(word);
    while (at && (at = strstr(at, word))) {
        if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length])) return 1;
        at += length;
    }
    return 0;
}

static int asked_of(const char *variable, int gpu) {
    char number[16];
    snprintf(number, sizeof number, "%d", gpu);
    return asked(variable, number);
}

static int enter(const char *call, const struct device *device) {
    if (asked("FAKE_HANG", call)) {
        if (write(1, "hangs\n", 6) == 6) for (;;) pause();
    }
    if (initialized_by != getpid()) return UNINITIALIZED;
    if (asked("FAKE_UNSUPPORTED", call)) return NOT_SUPPORTED;
    return device && asked_of("FAKE_LOST", device->gpu) ? LOST : OK;
}

#define ENTER(device) \
    do { int code = enter(__func__, device); if (code) return code; } while (0)

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    const char *code = getenv("FAKE_INIT");
    if (code && atoi(code)) return atoi(code);
    initialized_by = getpid();
    return enter("nvmlInit", NULL);
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlInit(void) { return nvmlInitWithFlags(0); }

const char *nvmlErrorString(int code) { (void)code; return "an error"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    ENTER(NULL);
    *count = getenv("FAKE_GPUS") ? (unsigned)atoi(getenv("FAKE_GPUS")) : 2;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **device) {
    ENTER(NULL);
    if (asked_of("FAKE_UNREACHABLE", (int)index)) return LOST;
    wholes[index].gpu = (int)index;
    wholes[index].slot = -1;
    *device = &wholes[index];
    return OK;
}

int nvmlDeviceGetMigMode(struct device *device, unsigned *current, unsigned *pending) {
    ENTER(NULL);
    *current = *pending = (unsigned)asked_of("FAKE_SLICED", device->gpu);
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(struct device *device, unsigned *count) {
    ENTER(device);
    *count = MIG_SLOTS;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct device *whole, unsigned index, struct device **device) {
    ENTER(whole);
    if (index != 0 && index != 2) return NOT_FOUND;
    slices[whole->gpu][index].gpu = whole->gpu;
    slices[whole->gpu][index].slot = (int)index;
    *device = &slices[whole->gpu][index];
    return OK;
}

int nvmlDeviceGetUUID(struct device *device, char *text, unsigned size) {
    ENTER(NULL);
    if (device->slot < 0) snprintf(text, size, "GPU-%d8932f93-d72c-4106-c12f-20bd9faed9f6", device->gpu);
    else snprintf(text, size, "MIG-%d%d8a3c7-0000-5000-8000-20bd9faed9f6", device->gpu, device->slot);
    return OK;
}

int nvmlDeviceGetName(struct device *device, char *text, unsigned size) {
    ENTER(NULL);
    snprintf(text, size, device->slot < 0 ? "NVIDIA H100" : "NVIDIA H100 MIG 1g.10gb");
    return OK;
}

int nvmlDeviceGetMemoryInfo(struct device *device, struct memory *memory) {
    ENTER(device);
    memory->total = 80000 - (unsigned)device->gpu;
    memory->used = 30000;
    memory->free = memory->total - memory->used;
    return OK;
}

int nvmlDeviceGetMemoryInfo_v2(struct device *device, struct memory_v2 *memory) {
    ENTER(device);
    if (memory->version != (sizeof *memory | 2 << 24)) return 25;
    memory->total = 80000 - (unsigned)device->gpu;
    memory->reserved = 10000;
    memory->used = 20000;
    memory->free = memory->total - memory->used - memory->reserved;
    return OK;
}

int nvmlDeviceGetUtilizationRates(struct device *device, unsigned *rates) {
    ENTER(device);
    if (device->slot >= 0) return NOT_SUPPORTED; /* all else a slice answers as its GPU would */
    rates[0] = 85 + (unsigned)device->gpu;
    rates[1] = 40;
    return OK;
}

int nvmlDeviceGetPowerUsage(struct device *device, unsigned *milliwatts) {
    ENTER(device);
    *milliwatts = 312500;
    return OK;
}

int nvmlDeviceGetTemperature(struct device *device, unsigned sensor, unsigned *degrees) {
    ENTER(device);
    if (sensor != 0) return INVALID;
    *degrees = 61;
    return OK;
}

int nvmlDeviceGetTemperatureV(struct device *device, struct temperature *temperature) {
    ENTER(device);
    if (temperature->sensor != 0) return INVALID;
    temperature->value = 62;
    return OK;
}

int nvmlDeviceGetClockInfo(struct device *device, unsigned clock, unsigned *megahertz) {
    ENTER(device);
    static const unsigned clocks[] = {1, 1980, 2619, 2};
    if (clock > 3) return INVALID;
    *megahertz = clocks[clock];
    return OK;
}

int nvmlDeviceGetTotalEccErrors(struct device *device, unsigned kind, unsigned counter, unsigned long long *count) {
    ENTER(device);
    *count = 1 + 2 * kind + 4 * counter; /* 3: uncorrected, since the driver was loaded */
    return OK;
}

int nvmlEventSetCreate(struct device ***set) {
    ENTER(NULL);
    *set = calloc(1, sizeof **set);
    return OK;
}

int nvmlDeviceRegisterEvents(struct device *device, unsigned long long types, struct device **set) {
    ENTER(device);
    if (types != XID) return INVALID;
    device->waiting = asked_of("FAKE_XIDS", device->gpu) ? 4 : 0;
    *set = device;
    return OK;
}

int nvmlEventSetWait(struct device **set, struct event *event, unsigned milliseconds) {
    ENTER(NULL);
    if (milliseconds) abort(); /* it would block a training that ends */
    if (!(*set)->waiting) return asked_of("FAKE_LOST", (*set)->gpu) ? LOST : TIMEOUT;
    event->device = *set;
    event->type = --(*set)->waiting ? XID : 1;
    event->data = 79;
    return OK;
}

int nvmlEventSetWait_v2(struct device **set, struct event *event, unsigned milliseconds) {
    ENTER(NULL);
    return nvmlEventSetWait(set, event, milliseconds);
}
