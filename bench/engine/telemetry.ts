import { dlopen, FFIType } from 'bun:ffi'

/** ONNX Runtime reads this once, when it is loaded. */
const VARIABLE = 'ORT_DISABLE_TELEMETRY'
const LIBRARIES = process.platform === 'darwin' ? ['libSystem.B.dylib'] : ['libc.so.6', `libc.musl-${muslName()}.so.1`]

/**
 * Turns off ONNX Runtime's telemetry for this process, however it was started; call it before the runtime is loaded. Setting
 * a variable from JavaScript does not, in Bun, reach the environment that native code reads, so the C library's `setenv` is called.
 * @throws Error when it cannot be turned off: the runtime must then not be loaded
 */
export function disableTelemetry(): void {
  if (process.platform === 'win32') return
  const libc = openLibrary()
  const [name, value] = [cText(VARIABLE), cText('1')]
  const isSet = libc.symbols.setenv(name, value, 1) === 0 && String(libc.symbols.getenv(name)) === '1'
  libc.close()
  if (!isSet) throw failure()
}

function openLibrary() {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, {
        setenv: { args: [FFIType.ptr, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
        getenv: { args: [FFIType.ptr], returns: FFIType.cstring },
      })
    } catch {
      // Another C library, perhaps: the next name is tried.
    }
  }
  throw failure()
}

function failure(): Error {
  return new Error(`ONNX Runtime's telemetry cannot be turned off from inside; start with ${VARIABLE}=1 in the environment`)
}

function cText(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

function muslName(): string {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64'
}
