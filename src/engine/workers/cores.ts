import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** Reads a file of the kernel's; undefined where there is none. */
export type ReadFile = (path: string) => string | undefined

const MOUNT = '/sys/fs/cgroup'

/**
 * Cores that this process may use: those that it may be scheduled on, and no more than its container's quota, of control groups of
 * either version; at least one. The host's number says nothing of a container.
 */
export function usableCores(available = availableParallelism(), read: ReadFile = readKernelFile): number {
  const quota = Math.min(...quotas(read))
  return Math.max(1, Math.min(available, Math.ceil(quota)))
}

/** The quotas of the process's own groups and of all groups above them: each holds. */
function quotas(read: ReadFile): readonly number[] {
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'))
  const found = [Number.POSITIVE_INFINITY]
  for (const [, controllers, path = '/'] of groups) {
    const isSecond = controllers === ''
    if (!isSecond && !controllers?.split(',').includes('cpu')) continue
    const roots = isSecond ? [MOUNT] : [`${MOUNT}/${controllers}`, `${MOUNT}/cpu`, `${MOUNT}/cpu,cpuacct`]
    for (const folder of roots.flatMap((root) => upwards(path).map((part) => `${root}${part}`))) {
      found.push(isSecond ? secondQuota(read, folder) : firstQuota(read, folder))
    }
  }
  return found
}

/** `/a/b` → `/a/b`, `/a`, and the root. */
function upwards(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return parts.map((_, index) => `/${parts.slice(0, parts.length - index).join('/')}`).concat('')
}

function secondQuota(read: ReadFile, folder: string): number {
  const [quota = '', period = ''] = (read(`${folder}/cpu.max`) ?? '').trim().split(' ')
  return ratio(quota, period)
}

function firstQuota(read: ReadFile, folder: string): number {
  return ratio(read(`${folder}/cpu.cfs_quota_us`) ?? '', read(`${folder}/cpu.cfs_period_us`) ?? '')
}

/** `max`, -1 and what cannot be read are no limit. */
function ratio(quota: string, period: string): number {
  const [part, whole] = [Number(quota.trim() || Number.NaN), Number(period.trim() || Number.NaN)]
  return part > 0 && whole > 0 ? part / whole : Number.POSITIVE_INFINITY
}

function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No such file: another system, or another version of control groups.
    return undefined
  }
}
