import { availableParallelism } from 'node:os'
import { groupFolders, type ReadFile, readKernelFile } from './control-groups.ts'

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
  const folders = groupFolders('cpu', ['cpu', 'cpu,cpuacct'], read)
  const found = folders.map(({ folder, isSecond }) => (isSecond ? secondQuota(read, folder) : firstQuota(read, folder)))
  return [Number.POSITIVE_INFINITY, ...found]
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
