import { dlopen, ptr } from 'bun:ffi'

/** What is asked of the C library: Bun has no words for a listening socket that is there already, nor for handing one on. */
function openLibrary() {
  return dlopen('libc.so.6', {
    close: { args: ['i32'], returns: 'i32' },
    dup3: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    fcntl: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    epoll_ctl: { args: ['i32', 'i32', 'i32', 'ptr'], returns: 'i32' },
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
