/**
 * Gives the memory of bytes back at once, all of the buffer that they are in; they have no length afterwards. The collector would do it later,
 * and what comes meanwhile takes new memory, whose pages cost as much as a copy. Only who owns them may, and only where nothing reads them any more.
 */
export function freeBytes(bytes: ArrayBufferView): void {
  // Memory that processes share has no single owner.
  if (bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0)
}
