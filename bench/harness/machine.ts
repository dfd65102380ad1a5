import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

/** What the figures were measured on, and how busy it was with other things. */
export function describeMachine(): string {
  const [one = 0, five = 0] = loadavg()
  const memory = Math.round(totalmem() / 2 ** 30)
  return [
    `${availableParallelism()} cores of ${cpus()[0]?.model.trim() || 'an unknown processor'}, ${memory} GiB, ${process.platform} ${process.arch}`,
    `Bun ${Bun.version}; load before the run ${one.toFixed(2)} (1 minute), ${five.toFixed(2)} (5 minutes)`,
  ].join('; ')
}

/** Warns where the machine is busy: ratios still tell something, absolute figures do not. */
export function warnWhereBusy(): void {
  const [load = 0] = loadavg()
  if (load > availableParallelism() / 2) console.warn(`the machine is busy (load ${load.toFixed(2)}): compare the ratios alone`)
}
