import { readFileSync } from 'node:fs'

/** Reads a file of the kernel's; undefined where there is none. */
export type ReadFile = (path: string) => string | undefined

const MOUNT = '/sys/fs/cgroup'

/** A folder of control groups, and whether it is of the second version. */
export interface GroupFolder {
  readonly folder: string
  readonly isSecond: boolean
}

/** Folders of the process's own groups for a controller, and of all groups above them: what each of them says holds. */
export function groupFolders(controller: string, mounts: readonly string[], read: ReadFile): readonly GroupFolder[] {
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'))
  return groups.flatMap(([, controllers, path = '/']) => {
    const isSecond = controllers === ''
    if (!isSecond && !controllers?.split(',').includes(controller)) return []
    const roots = isSecond ? [MOUNT] : [controllers, ...mounts].map((mount) => `${MOUNT}/${mount}`)
    return roots.flatMap((root) => upwards(path).map((part) => ({ folder: `${root}${part}`, isSecond })))
  })
}

/** `/a/b` → `/a/b`, `/a`, and the root. */
function upwards(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return parts.map((_, index) => `/${parts.slice(0, parts.length - index).join('/')}`).concat('')
}

/** The text of a file of the kernel's; undefined where there is none: on another system, or with other control groups. */
export function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No such file.
    return undefined
  }
}
