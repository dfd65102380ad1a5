import { processEnvironment } from '../config/environment.ts'
import type { Environment } from '../config/load.ts'
import { modeOf } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { COLOURS, NO_COLOURS, type Palette } from '../core/palette.ts'
import { jsonLine } from '../telemetry/log/json-line.ts'
import { createLogger, type LogEntry, type Logger } from '../telemetry/log/logger.ts'
import { createPrettyLine, UNSHOWN } from '../telemetry/log/pretty-line.ts'
import { createLogOutput, createTerminalOutput, type LogOutput } from './log-output.ts'

export interface Logging {
  readonly logger: Logger
  readonly output: LogOutput
  /** True for text, which people read. */
  readonly isPretty: boolean
  /** Colours, where a terminal has them. */
  readonly palette: Palette
}

/** The server's log as the settings say: JSON for programs, text for people, with the number of the process where there are several. */
export function createLogging(settings: Settings, number?: number): Logging {
  const environment = processEnvironment()
  const isPretty = isForPeople(settings, environment)
  const output = isPretty ? createTerminalOutput() : createLogOutput()
  const palette = hasColours(process.stdout, environment) ? COLOURS : NO_COLOURS
  const { write, writeLater } = output
  const format = formatOf({ isPretty, palette, number })
  const logger = createLogger({ level: settings.logLevel, write, writeLater, format, ...(isPretty && { unshown: UNSHOWN }) })
  return { logger, output, isPretty, palette }
}

/** Logs what was found about each loaded model. A text log has none of it: people read it in `vestal models list`. */
export function findingsTo({ logger, isPretty }: Logging): (message: string) => void {
  return (message) => (isPretty ? logger.debug(message) : logger.info(message))
}

function isForPeople(settings: Settings, environment: Environment): boolean {
  if (settings.logFormat !== 'auto') return settings.logFormat === 'pretty'
  return process.stdout.isTTY === true || modeOf(settings, environment) === 'development'
}

/** Whether a stream shows colours: a terminal does, unless it is a dumb one or NO_COLOR is set (no-color.org). */
function hasColours({ isTTY }: { readonly isTTY?: boolean }, { NO_COLOR = '', TERM }: Environment): boolean {
  return isTTY === true && NO_COLOR === '' && TERM !== 'dumb'
}

interface Form extends Pick<Logging, 'isPretty' | 'palette'> {
  readonly number: number | undefined
}

function formatOf({ isPretty, palette, number }: Form): (entry: LogEntry) => string {
  const prettyLine = createPrettyLine(palette)
  if (number === undefined) return isPretty ? prettyLine : jsonLine
  if (isPretty) return (entry) => `[${number}] ${prettyLine(entry)}`
  return (entry) => jsonLine({ ...entry, fields: { process: number, ...entry.fields } })
}
