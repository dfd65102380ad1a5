import { copyData, type Tensor } from '../tensor/tensor.ts'

export interface Parcel {
  readonly tensors: readonly Tensor[]
  /** Buffers that the message takes along: whoever sends them has them no longer. */
  readonly buffers: ArrayBuffer[]
}

/** A buffer no larger than this may be a piece of a pool that others use too, and is not moved unless a tensor is all of it. */
const POOL_BYTES_MAX = 64 * 1024

/**
 * Makes tensors ready for a message that moves their memory: as it is where they are all of a buffer, or the most of a large one, such
 * as a body with tensors in it; otherwise a copy of what is theirs, since a view would take all of its buffer along.
 */
export function pack(tensors: readonly Tensor[]): Parcel {
  const used = new Map<ArrayBufferLike, number>()
  for (const { data } of tensors) {
    if (ArrayBuffer.isView(data)) used.set(data.buffer, (used.get(data.buffer) ?? 0) + data.byteLength)
  }
  const buffers: ArrayBuffer[] = []
  const packed = tensors.map((tensor) => {
    const { data } = tensor
    if (!ArrayBuffer.isView(data)) return tensor
    const bytes = used.get(data.buffer) ?? 0
    const isOwn = bytes === data.buffer.byteLength || (bytes > POOL_BYTES_MAX && bytes * 2 > data.buffer.byteLength)
    const moved = isOwn && data.buffer instanceof ArrayBuffer ? data : copyData(data)
    if (moved.buffer instanceof ArrayBuffer && !buffers.includes(moved.buffer)) buffers.push(moved.buffer)
    return moved === data ? tensor : { ...tensor, data: moved }
  })
  return { tensors: packed, buffers }
}
