import { dlopen, ptr } from 'bun:ffi'

/** What is asked of the C library: Bun has no words for a listening socket that is there already, for handing one on, nor for sealed memory. */
function openLibrary() {
  return dlopen('libc.so.6', {
    close: { args: ['i32'], returns: 'i32' },
    dup3: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    fallocate: { args: ['i32', 'i32', 'i64', 'i64'], returns: 'i32' },
    fcntl: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    epoll_ctl: { args: ['i32', 'i32', 'i32', 'ptr'], returns: 'i32' },
    ftruncate: { args: ['i32', 'i64'], returns: 'i32' },
    memfd_create: { args: ['ptr', 'u32'], returns: 'i32' },
    sendmsg: { args: ['i32', 'ptr', 'i32'], returns: 'i64' },
    recvmsg: { args: ['i32', 'ptr', 'i32'], returns: 'i64' },
    socketpair: { args: ['i32', 'i32', 'i32', 'ptr'], returns: 'i32' },
  }).symbols
}

let opened: ReturnType<typeof openLibrary> | undefined

function library(): ReturnType<typeof openLibrary> {
  opened ??= openLibrary()
  return opened
}

const F_DUPFD_CLOEXEC = 1030
const O_CLOEXEC = 0x80000
const [MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL] = [1, 2, 8]
const F_ADD_SEALS = 1033
const [F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW] = [1, 2, 4]
const [FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE] = [1, 2]
const [EPOLL_CTL_ADD, EPOLL_CTL_DEL] = [1, 2]
const EPOLLIN = 1
const [SOL_SOCKET, SCM_RIGHTS] = [1, 1]
const MSG_NOSIGNAL = 0x4000
const [AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [1, 1, 0x800, 0x80000]
const [MSG_DONTWAIT, MSG_CMSG_CLOEXEC] = [0x40, 0x40000000]

/** Another descriptor of the same open file; programs that are started do not get it. */
export function duplicate(descriptor: number): number {
  return succeeded('fcntl', library().fcntl(descriptor, F_DUPFD_CLOEXEC, 0))
}

/** Makes `at` a descriptor of the same open file; what it was before is closed in the same step. */
export function duplicateAt(descriptor: number, at: number): void {
  succeeded('dup3', library().dup3(descriptor, at, O_CLOEXEC))
}

/** Closes a descriptor that this file or the kernel gave. */
export function closeDescriptor(descriptor: number): void {
  library().close(descriptor)
}

/** Two local sockets that are connected with each other and have no name; programs that are started do not get them. */
export function openSocketPair(): readonly [number, number] {
  const pair = Buffer.alloc(8)
  succeeded('socketpair', library().socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ptr(pair)))
  return [pair.readInt32LE(0), pair.readInt32LE(4)]
}

/**
 * A file in memory without a name, whose length no process can change any more (memfd_create(2), sealed): one may map it and hand it to
 * another that it does not trust. Programs that are started do not get it.
 * @throws Error where the system has none
 */
export function createSealedMemory(bytes: number): number {
  const { memfd_create, ftruncate, fcntl } = library()
  const name = Buffer.from('vestal\0')
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING
  // Kernels before 6.3 do not know the third flag, and later ones may insist on it.
  const hardened = memfd_create(ptr(name), flags | MFD_NOEXEC_SEAL)
  const descriptor = hardened >= 0 ? hardened : succeeded('memfd_create', memfd_create(ptr(name), flags))
  try {
    succeeded('ftruncate', ftruncate(descriptor, bytes))
    succeeded('fcntl', fcntl(descriptor, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW))
    return descriptor
  } catch (error) {
    closeDescriptor(descriptor)
    throw error
  }
}

/** Frees the memory behind the first bytes of a file in memory, which read as zeros afterwards; its length stays. */
export function freeMemory(descriptor: number, bytes: number): void {
  succeeded('fallocate', library().fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes))
}

/** Watches a descriptor for what can be read of it, under the word that the watcher knows it by. */
export function watchReadable(epoll: number, descriptor: number, word: bigint): void {
  // The kernel's struct is packed only on x86-64.
  const wordAt = process.arch === 'x64' ? 4 : 8
  const event = Buffer.alloc(wordAt + 8)
  event.writeUInt32LE(EPOLLIN, 0)
  event.writeBigUInt64LE(word, wordAt)
  succeeded('epoll_ctl', library().epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, ptr(event)))
}

/** Watches a descriptor no more. */
export function watchNoMore(epoll: number, descriptor: number): void {
  succeeded('epoll_ctl', library().epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, ptr(Buffer.alloc(16))))
}

/** Sends a descriptor through a local socket (unix(7), SCM_RIGHTS). */
export function sendDescriptor(socket: number, descriptor: number): void {
  const { header, control } = messageOf(Buffer.alloc(1))
  control.writeBigUInt64LE(20n, 0)
  control.writeInt32LE(SOL_SOCKET, 8)
  control.writeInt32LE(SCM_RIGHTS, 12)
  control.writeInt32LE(descriptor, 16)
  succeeded('sendmsg', Number(library().sendmsg(socket, ptr(header), MSG_NOSIGNAL)))
}

/** Takes a descriptor that was sent through a local socket before. */
export function receiveDescriptor(socket: number): number {
  const { header, control } = messageOf(Buffer.alloc(1))
  succeeded('recvmsg', Number(library().recvmsg(socket, ptr(header), MSG_DONTWAIT | MSG_CMSG_CLOEXEC)))
  if (control.readInt32LE(12) !== SCM_RIGHTS) throw new Error('no descriptor came')
  return control.readInt32LE(16)
}

/** A `msghdr` of 64 bits with one byte of data, which the kernel asks for, and room for one descriptor. */
function messageOf(data: Buffer) {
  const control = Buffer.alloc(24)
  const vector = Buffer.alloc(16)
  vector.writeBigUInt64LE(BigInt(ptr(data)), 0)
  vector.writeBigUInt64LE(BigInt(data.length), 8)
  const header = Buffer.alloc(56)
  header.writeBigUInt64LE(BigInt(ptr(vector)), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(BigInt(ptr(control)), 32)
  header.writeBigUInt64LE(BigInt(control.length), 40)
  // What the header points to must live as long as it does.
  return { header, control, vector, data }
}

function succeeded(name: string, result: number): number {
  if (result < 0) throw new Error(`the system call ${name} failed`)
  return result
}
