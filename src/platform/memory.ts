import { groupFolders, type ReadFile, readKernelFile } from './control-groups.ts'

/** Bytes of memory that this process may use: the machine's, and no more than its container's limit, of control groups of either version. */
export function usableBytes(available: number, read: ReadFile = readKernelFile): number {
  const limits = groupFolders('memory', ['memory'], read).map(({ folder, isSecond }) =>
    bytesOf(read(`${folder}/${isSecond ? 'memory.max' : 'memory.limit_in_bytes'}`)),
  )
  return Math.min(available, ...limits)
}

/** `max` and what cannot be read are no limit. */
function bytesOf(text: string | undefined): number {
  const bytes = Number(text?.trim() || Number.NaN)
  return bytes > 0 ? bytes : Number.POSITIVE_INFINITY
}
