/** What the kernel denies a code process, on Linux of 64 bits: other programs, other processes, and the network. */
import { dlopen, ptr } from 'bun:ffi'

export interface CodeRights {
  readonly mayUseNetwork: boolean
}

/** Numbers of system calls. `conditional` ones are denied for what they are given. */
interface Calls {
  /** As seccomp names the machine (AUDIT_ARCH). */
  readonly machine: number
  readonly seccomp: number
  readonly denied: Readonly<Record<string, number>>
  readonly socket: number
  readonly clone: number
  /** Signals a thread, of any process; musl's own threads need it. */
  readonly tkill: number
  /** Those whose first argument is a process. */
  readonly ofProcess: readonly number[]
}

const X64: Calls = {
  machine: 0xc000003e,
  seccomp: 317,
  denied: {
    ...{
      execve: 59,
      execveat: 322,
      fork: 57,
      vfork: 58,
      unshare: 272,
      setns: 308,
      ptrace: 101,
      processVmRead: 310,
      processVmWrite: 311,
    },
    ...{ sigqueue: 129, pidfdOpen: 434, pidfdGet: 438, pidfdSignal: 424, ioUring: 425, mount: 165, pivotRoot: 155, chroot: 161 },
    ...{
      bpf: 321,
      perfEvent: 298,
      userfaultfd: 323,
      addKey: 248,
      requestKey: 249,
      keyctl: 250,
      setPriority: 141,
      setProcessGroup: 109,
      setSession: 112,
    },
  },
  socket: 41,
  clone: 56,
  tkill: 200,
  // kill, tgkill, rt_tgsigqueueinfo, prlimit64
  ofProcess: [62, 234, 297, 302],
}
const ARM64: Calls = {
  machine: 0xc00000b7,
  seccomp: 277,
  denied: {
    ...{ execve: 221, execveat: 281, unshare: 97, setns: 268, ptrace: 117, processVmRead: 270, processVmWrite: 271 },
    ...{ sigqueue: 138, pidfdOpen: 434, pidfdGet: 438, pidfdSignal: 424, ioUring: 425, mount: 40, pivotRoot: 41, chroot: 51 },
    ...{
      bpf: 280,
      perfEvent: 241,
      userfaultfd: 282,
      addKey: 217,
      requestKey: 218,
      keyctl: 219,
      setPriority: 140,
      setProcessGroup: 154,
      setSession: 157,
    },
  },
  socket: 198,
  clone: 220,
  tkill: 130,
  ofProcess: [129, 131, 240, 261],
}
const CLONE3 = 435

const [LOAD, JUMP_IF_EQUAL, JUMP_IF_GREATER_OR_EQUAL, JUMP_IF_ANY_BIT, RETURN] = [0x20, 0x15, 0x35, 0x45, 0x06]
/** Where a filter finds the number of the call, the machine, and the low half of the first argument. */
const [NUMBER, MACHINE, FIRST_ARGUMENT] = [0, 4, 16]
const ALLOW = 0x7fff0000
const [EPERM, EACCES, ENOSYS] = [1, 13, 38].map((code) => 0x00050000 | code) as [number, number, number]
const CLONE_THREAD = 0x10000
/** Numbers from here on are another way to call the same, on x86-64. */
const X32_BIT = 0x40000000
const [PR_SET_NO_NEW_PRIVS, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC] = [38, 1, 1]

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number]

/** The program that the kernel asks about each system call. */
function filterOf(
  { machine, denied, socket, clone, tkill, ofProcess }: Calls,
  { mayUseNetwork, isMusl }: CodeRights & { readonly isMusl: boolean },
): readonly Instruction[] {
  const deny = (number: number, answer = EPERM): readonly Instruction[] => [
    [JUMP_IF_EQUAL, 0, 1, number],
    [RETURN, 0, 0, answer],
  ]
  /** Allows a call where its first argument passes a test, and denies it otherwise. */
  const onlyIf = (number: number, test: Instruction[0], value: number): readonly Instruction[] => [
    [JUMP_IF_EQUAL, 0, 4, number],
    [LOAD, 0, 0, FIRST_ARGUMENT],
    [test, 0, 1, value],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, EPERM],
  ]
  const own = ofProcess.flatMap((number): readonly Instruction[] => [
    [JUMP_IF_EQUAL, 0, 5, number],
    [LOAD, 0, 0, FIRST_ARGUMENT],
    // 0 is the process itself to prlimit64, and its group, which is its own, to kill.
    [JUMP_IF_EQUAL, 1, 0, process.pid],
    [JUMP_IF_EQUAL, 0, 1, 0],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, EPERM],
  ])
  return [
    [LOAD, 0, 0, MACHINE],
    [JUMP_IF_EQUAL, 1, 0, machine],
    [RETURN, 0, 0, EPERM],
    [LOAD, 0, 0, NUMBER],
    [JUMP_IF_GREATER_OR_EQUAL, 0, 1, X32_BIT],
    [RETURN, 0, 0, EPERM],
    ...Object.values(denied).flatMap((number) => deny(number)),
    ...(mayUseNetwork ? [] : deny(socket, EACCES)),
    ...(isMusl ? [] : deny(tkill)),
    // Its arguments lie in memory, where a filter cannot look: the C library uses clone in its place.
    ...deny(CLONE3, ENOSYS),
    ...onlyIf(clone, JUMP_IF_ANY_BIT, CLONE_THREAD),
    ...own,
    [RETURN, 0, 0, ALLOW],
  ]
}

function bytesOf(filter: readonly Instruction[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(filter.length * 8))
  for (const [index, [code, ifTrue, ifFalse, value]] of filter.entries()) {
    view.setUint16(index * 8, code, true)
    view.setUint8(index * 8 + 2, ifTrue)
    view.setUint8(index * 8 + 3, ifFalse)
    view.setUint32(index * 8 + 4, value, true)
  }
  return new Uint8Array(view.buffer)
}

/**
 * Denies this process, for good: to start programs or processes, to signal or look into others, and, unless it may use it, the network.
 * Elsewhere than on Linux of 64 bits it denies nothing.
 * @throws Error where the kernel takes no filter: the code is not run then
 */
export function restrictCode(rights: CodeRights): void {
  const calls = process.arch === 'x64' ? X64 : process.arch === 'arm64' ? ARM64 : undefined
  if (process.platform !== 'linux' || calls === undefined) return
  const { symbols, close, isMusl } = openLibrary()
  const filter = filterOf(calls, { ...rights, isMusl })
  const bytes = bytesOf(filter)
  const program = new DataView(new ArrayBuffer(16))
  program.setUint16(0, filter.length, true)
  program.setBigUint64(8, BigInt(ptr(bytes)), true)
  symbols.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  const result = symbols.syscall(
    calls.seccomp,
    SECCOMP_SET_MODE_FILTER,
    SECCOMP_FILTER_FLAG_TSYNC,
    ptr(new Uint8Array(program.buffer)),
    0,
    0,
  )
  close()
  if (Number(result) !== 0) throw new Error('the kernel takes no filter of system calls')
}

function openLibrary() {
  const names = ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`]
  for (const name of names) {
    try {
      const library = dlopen(name, {
        prctl: { args: ['i32', 'u64', 'u64', 'u64', 'u64'], returns: 'i32' },
        syscall: { args: ['i64', 'u64', 'u64', 'u64', 'u64', 'u64'], returns: 'i64' },
      })
      return { symbols: library.symbols, close: () => library.close(), isMusl: name.includes('musl') }
    } catch {
      // Another C library, perhaps: the next name is tried.
    }
  }
  throw new Error('the C library cannot be opened, so code would not be restricted')
}
