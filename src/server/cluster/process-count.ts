import type { Settings } from '../../config/settings.ts'
import { usableCores } from '../../platform/cores.ts'

/** How many processes the settings ask for. */
export function processCount({ processes }: Pick<Settings, 'processes'>, cores: number = usableCores()): number {
  return processes === 'auto' ? cores : processes
}
