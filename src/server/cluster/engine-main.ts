/**
 * The program of the engine process: the verb `engine-process` without the imports of other verbs, which take most of the time of a
 * start, so that a replacement serves sooner. An executable has the verb instead.
 */

import { readArguments } from '../../config/arguments.ts'
import { processEnvironment } from '../../config/environment.ts'
import { loadSettings, SettingsError } from '../../config/load.ts'
import { startEngineProcess } from './engine-process.ts'

/** Exit code where the settings cannot be used. */
const EXIT_USAGE = 2

try {
  const { settings: flags, faults, words, configFile } = readArguments(process.argv.slice(3), [], 1)
  const sources = {
    flags,
    faults,
    environment: processEnvironment(),
    directory: process.cwd(),
    ...(configFile !== undefined && { configFile }),
  }
  await startEngineProcess(words[0], () => loadSettings(sources).settings)
} catch (error) {
  if (!(error instanceof SettingsError)) throw error
  for (const fault of error.faults) console.error(fault)
  process.exit(EXIT_USAGE)
}
