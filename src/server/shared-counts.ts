import type { Settings } from '../config/settings.ts'
import type { SharedCounts } from '../core/shared-counts.ts'
import { openSharedCounts } from '../storage/shared-counts.ts'
import { processCount } from './cluster/process-settings.ts'

/** Counts in Redis, where it is configured and there are limits to count. */
export function sharedCountsOf(settings: Settings, log: (message: string) => void): SharedCounts | undefined {
  const { redis, rateLimits, addressRequestsPerMinute, processes } = settings
  // With Redis no process enforces a share, so limits that a reload adds must be counted there.
  const hasLimits = rateLimits.length > 0 || addressRequestsPerMinute !== undefined || processes !== 1
  return redis === undefined || !hasLimits ? undefined : openSharedCounts({ url: redis, log, processes: processCount(settings) })
}
