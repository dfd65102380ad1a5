import type { Settings } from '../config/settings.ts'
import { createLogger, jsonLine, type LogEntry, type Logger, prettyLine } from '../telemetry/log/logger.ts'
import { createLogOutput, createTerminalOutput, type LogOutput } from './log-output.ts'

export interface Logging {
  readonly logger: Logger
  readonly output: LogOutput
  /** True where people read it. */
  readonly isPretty: boolean
}

/** The server's log as the settings say: JSON for programs, text for people. Of several processes each says its number. */
export function createLogging({ logLevel, logFormat }: Settings, process?: number): Logging {
  const isPretty = logFormat === 'pretty' || (logFormat === 'auto' && globalThis.process.stdout.isTTY === true)
  const output = isPretty ? createTerminalOutput() : createLogOutput()
  const format = process === undefined ? plain(isPretty) : numbered(isPretty, process)
  const logger = createLogger({ level: logLevel, write: output.write, format })
  return { logger, output, isPretty }
}

function plain(isPretty: boolean): (entry: LogEntry) => string {
  return isPretty ? prettyLine : jsonLine
}

function numbered(isPretty: boolean, process: number): (entry: LogEntry) => string {
  if (isPretty) return (entry) => `[${process}] ${prettyLine(entry)}`
  return (entry) => jsonLine({ ...entry, fields: { process, ...entry.fields } })
}
