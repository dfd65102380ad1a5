import type { Settings } from '../config/settings.ts'
import { createLogger, jsonLine, type Logger, prettyLine } from '../log/logger.ts'
import { createLogOutput, createTerminalOutput, type LogOutput } from './log-output.ts'

export interface Logging {
  readonly logger: Logger
  readonly output: LogOutput
  /** True where people read it. */
  readonly isPretty: boolean
}

/** The server's log as the settings say: JSON for programs, text for people. */
export function createLogging({ logLevel, logFormat }: Settings): Logging {
  const isPretty = logFormat === 'pretty' || (logFormat === 'auto' && process.stdout.isTTY === true)
  const output = isPretty ? createTerminalOutput() : createLogOutput()
  const logger = createLogger({ level: logLevel, write: output.write, format: isPretty ? prettyLine : jsonLine })
  return { logger, output, isPretty }
}
