/** How much is logged; each level includes those after it. */
const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type Level = (typeof LEVELS)[number]

/** What a line may say beside its message. There is no field for a header, a body, a query or a token, so none can get in. */
export interface LogFields {
  /** Which of several processes says it. */
  readonly process?: number | undefined
  readonly requestId?: string | undefined
  readonly traceId?: string | undefined
  readonly method?: string | undefined
  /** The route as it was written; never the path that came, which may hold anything. */
  readonly route?: string | undefined
  readonly status?: number | undefined
  readonly durationMs?: number | undefined
  readonly address?: string | undefined
  /** `iss` of the token. */
  readonly issuer?: string | undefined
  readonly subject?: string | undefined
  readonly tokenId?: string | undefined
  readonly model?: string | undefined
  readonly version?: string | undefined
  /** A code of docs/reference/errors.md. */
  readonly code?: string | undefined
  /** Which check failed. */
  readonly reason?: string | undefined
  readonly error?: unknown
  /** What ONNX Runtime said; no client sees it. */
  readonly runtimeText?: string | undefined
  /** What the server says of itself when it starts. */
  readonly mode?: string | undefined
  readonly url?: string | undefined
  readonly count?: number | undefined
}

/** Writes what happens, one line each. */
export interface Logger {
  /** False where a line of this level would go nowhere; a caller on a hot path asks before it builds one. */
  isOn(level: Exclude<Level, 'silent'>): boolean
  /** False for a field that no line has: a caller on a hot path need not find it out. */
  shows(field: keyof LogFields): boolean
  setLevel(level: Level): void
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

export interface LoggerOptions {
  readonly level: Level
  /** Takes a finished line, without its end. */
  readonly write: (line: string, level: Exclude<Level, 'silent'>) => void
  readonly format: (entry: LogEntry) => string
  /** Takes what makes a line of the levels `debug` and `info`, to call it when the line is written; by default it is made at once. */
  readonly writeLater?: ((make: () => string) => void) | undefined
  /** Fields that `format` leaves out; default none. */
  readonly unshown?: ReadonlySet<string> | undefined
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
}

export interface LogEntry {
  readonly timeMs: number
  readonly level: Exclude<Level, 'silent'>
  readonly message: string
  readonly fields: LogFields
}

/** Prepares a logger. Lines below its level cost a comparison. */
export function createLogger({ level, write, format, writeLater, unshown, now = Date.now }: LoggerOptions): Logger {
  let lowest = LEVELS.indexOf(level)
  const isOn = (asked: Exclude<Level, 'silent'>) => LEVELS.indexOf(asked) >= lowest
  const log =
    (asked: Exclude<Level, 'silent'>) =>
    (message: string, fields: LogFields = NO_FIELDS) => {
      if (!isOn(asked)) return
      const entry: LogEntry = { timeMs: now(), level: asked, message, fields }
      if (writeLater === undefined || asked === 'warn' || asked === 'error') write(format(entry), asked)
      else writeLater(() => format(entry))
    }
  return {
    isOn,
    shows: (field) => unshown?.has(field) !== true,
    setLevel: (next) => {
      lowest = LEVELS.indexOf(next)
    },
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
  }
}

const NO_FIELDS: LogFields = {}
