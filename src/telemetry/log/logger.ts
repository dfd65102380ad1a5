import { printable } from '../../core/printable.ts'
import { clean, remembered, STACK_MAX, TEXT_MAX } from './clean.ts'

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

/** One JSON object: `time`, `level`, `message`, and the fields that are there. */
export function jsonLine({ timeMs, level, message, fields }: LogEntry): string {
  let line = `{"time":"${timeText(timeMs)}","level":"${level}","message":${jsonText(message)}`
  for (const name of Object.keys(fields) as (keyof LogFields)[]) {
    const value = fields[name]
    if (value === undefined) continue
    line += `,"${name}":${typeof value === 'number' ? jsonNumber(value) : jsonText(value, name)}`
  }
  return `${line}}`
}

/** Fields with another value in each request. */
const CHANGING: ReadonlySet<keyof LogFields> = new Set(['requestId', 'traceId'])

/** A text as JSON that a terminal may show: JSON itself escapes neither what moves a cursor by one character nor what turns text around. */
const escaped = (text: string) => printable(JSON.stringify(text))

const jsonOfText = remembered((text) => escaped(clean(text)))

/** A value as JSON has it. */
function jsonText(value: unknown, name?: keyof LogFields): string {
  const mayRepeat = typeof value === 'string' && name !== 'runtimeText' && (name === undefined || !CHANGING.has(name))
  return mayRepeat ? jsonOfText(value) : escaped(textOf(value, name))
}

let secondMs = Number.NaN
let secondText = ''

/** RFC 3339 with milliseconds. The text of a second is made once. */
function timeText(timeMs: number): string {
  const ms = timeMs % 1000
  if (timeMs - ms !== secondMs) {
    secondMs = timeMs - ms
    secondText = new Date(secondMs).toISOString().slice(0, 20)
  }
  return `${secondText}${String(ms).padStart(3, '0')}Z`
}

/** A number with at most three decimals. */
export function jsonNumber(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : 'null'
}

/** A value as a log line may hold it. */
export function textOf(value: unknown, name?: string): string {
  if (typeof value === 'string') return clean(value, name === 'runtimeText' ? STACK_MAX : TEXT_MAX)
  if (!(value instanceof Error)) return clean(String(value))
  const cause = value.cause === undefined ? '' : `\ncaused by ${textOf(value.cause)}`
  return clean(`${value.stack ?? `${value.name}: ${value.message}`}${cause}`, STACK_MAX)
}
