import { clusterFaults, clusterWarnings, processCount } from '../server/cluster/process-settings.ts'
import { type Finding, note, right, type Subject, wrong } from './finding.ts'

/** The settings: every fault at once, and variables that are no setting. */
export function lookAtSettings({ faults, warnings, mode, settings, file }: Subject): readonly Finding[] {
  const count = processCount(settings)
  const [unkept, shared] = count === 1 ? [[], []] : [clusterFaults(settings), clusterWarnings(settings, count)]
  const wrongs = [
    ...[...faults, ...unkept].map((fault) =>
      wrong(fault, 'Correct it; docs/reference/settings.md has every setting. The server does not start before.'),
    ),
    ...warnings.map((warning) => wrong(warning, 'Correct its name, or take it out of the environment.')),
  ]
  const from = file === undefined ? 'the environment and the flags' : `${file.path}, the environment and the flags`
  const notes = shared.map(note)
  if (wrongs.length === 0) return [right(`${mode} mode; every setting of ${from} can be read`), ...notes]
  return faults.length === 0
    ? [...wrongs, ...notes]
    : [...wrongs, note(`what follows is looked at in ${mode} mode on ${settings.host}, with defaults for these`)]
}
