/**
 * A small Python program that runs one kernel on the first GPU that it is shown, through the driver's own library, and checks
 * every number. It needs nothing but Python's standard library. It prints one JSON object and ends with 0:
 * `{"ok": true}`, `{"ok": true, "weak": WHY}` when the driver has no compiler for the kernel and only a fill was checked, or
 * `{"ok": false, "step": CALL, "code": CUresult | null, "text": WORDS}`.
 *
 * The kernel is PTX, the driver's portable assembly: out[i] = i * i + seed, in 32 bits. Its target is the oldest that the GPU
 * supports of those that present drivers still compile; a PTX version goes with each (PTX ISA, release notes).
 * The primary context is used, and functions whose exported names have not changed since CUDA 7.
 */
export const kernelProgram = `
import ctypes, json, sys

def say(**words):
    print(json.dumps(words))
    sys.stdout.flush()
    sys.exit(0)

lib, why = None, ''
for name in ('libcuda.so.1', '/usr/local/nvidia/lib64/libcuda.so.1', '/usr/lib/x86_64-linux-gnu/libcuda.so.1',
             '/usr/lib/aarch64-linux-gnu/libcuda.so.1', '/usr/lib64/libcuda.so.1'):
    try:
        lib = ctypes.CDLL(name)
        break
    except OSError as error:
        why = why or str(error)
if lib is None:
    say(ok=False, step='load', code=None, text=why)

def run(name, *args):
    try:
        function = getattr(lib, name)
    except AttributeError as error:
        say(ok=False, step=name, code=None, text=str(error))
    function.restype = ctypes.c_int
    return function(*args)

def fail(step, code):
    text = ctypes.c_char_p()
    known = run('cuGetErrorName', ctypes.c_int(code), ctypes.byref(text)) == 0 and text.value
    say(ok=False, step=step, code=code, text=text.value.decode('ascii', 'replace') if known else '')

def must(name, *args):
    code = run(name, *args)
    if code != 0:
        fail(name, code)

must('cuInit', ctypes.c_uint(0))
device, context = ctypes.c_int(), ctypes.c_void_p()
must('cuDeviceGet', ctypes.byref(device), ctypes.c_int(0))
major, minor = ctypes.c_int(), ctypes.c_int()
must('cuDeviceGetAttribute', ctypes.byref(major), ctypes.c_int(75), device)
must('cuDeviceGetAttribute', ctypes.byref(minor), ctypes.c_int(76), device)
must('cuDevicePrimaryCtxRetain', ctypes.byref(context), device)
must('cuCtxSetCurrent', context)

blocks, threads, seed = 256, 256, 0x5EED
given = ctypes.c_uint32(seed)
count = blocks * threads
memory = ctypes.c_uint64()
must('cuMemAlloc_v2', ctypes.byref(memory), ctypes.c_size_t(4 * count))
must('cuMemsetD32_v2', memory, ctypes.c_uint(0xC0FFEE), ctypes.c_size_t(count))

def numbers():
    out = (ctypes.c_uint32 * count)()
    must('cuCtxSynchronize')
    must('cuMemcpyDtoH_v2', out, memory, ctypes.c_size_t(4 * count))
    return out

if bytes(numbers()) != (0xC0FFEE).to_bytes(4, sys.byteorder) * count:
    say(ok=False, step='fill', code=None, text='its memory holds other numbers than were written')

levels = (((8, 0), '7.0'), ((7, 5), '6.3'), ((7, 0), '6.0'), ((6, 0), '5.0'), ((5, 0), '4.0'))
target = next(((level, version) for level, version in levels if (major.value, minor.value) >= level), None)
if target is None:
    say(ok=True, weak='the GPU is older than the kernel can be compiled for')
(a, b), version = target
ptx = '''
.version %s
.target sm_%d%d
.address_size 64
.visible .entry gpu_run_check(.param .u64 out, .param .u32 seed)
{
  .reg .b32 %%r<6>;
  .reg .b64 %%rd<3>;
  ld.param.u64 %%rd0, [out];
  ld.param.u32 %%r0, [seed];
  cvta.to.global.u64 %%rd0, %%rd0;
  mov.u32 %%r1, %%ctaid.x;
  mov.u32 %%r2, %%ntid.x;
  mov.u32 %%r3, %%tid.x;
  mad.lo.u32 %%r4, %%r1, %%r2, %%r3;
  mad.lo.u32 %%r5, %%r4, %%r4, %%r0;
  mul.wide.u32 %%rd1, %%r4, 4;
  add.u64 %%rd2, %%rd0, %%rd1;
  st.global.u32 [%%rd2], %%r5;
  ret;
}
''' % (version, a, b)
module, function = ctypes.c_void_p(), ctypes.c_void_p()
code = run('cuModuleLoadData', ctypes.byref(module), ctypes.c_char_p(ptx.encode()))
if code in (218, 221, 222, 223):
    say(ok=True, weak='the driver could not compile the kernel (CUDA error %d)' % code)
if code != 0:
    fail('cuModuleLoadData', code)
must('cuModuleGetFunction', ctypes.byref(function), module, ctypes.c_char_p(b'gpu_run_check'))
params = (ctypes.c_void_p * 2)(ctypes.cast(ctypes.byref(memory), ctypes.c_void_p),
                               ctypes.cast(ctypes.byref(given), ctypes.c_void_p))
must('cuLaunchKernel', function, *[ctypes.c_uint(n) for n in (blocks, 1, 1, threads, 1, 1, 0)],
     ctypes.c_void_p(None), params, ctypes.c_void_p(None))
if any(value != (i * i + seed) & 0xFFFFFFFF for i, value in enumerate(numbers())):
    say(ok=False, step='kernel', code=None, text='a kernel computed wrong numbers on it')
say(ok=True)
`;
