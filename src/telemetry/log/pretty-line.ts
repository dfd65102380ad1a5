import { NO_COLOURS, type Palette } from '../../core/palette.ts'
import { printable, printableLines } from '../../core/printable.ts'
import { clean, remembered, STACK_MAX, textOf } from './clean.ts'
import { jsonNumber } from './json-line.ts'
import type { LogEntry, LogFields } from './logger.ts'
import { rememberedCaller, rememberedTarget } from './request-parts.ts'

/** Fields that a person at a terminal has no use for. */
export const UNSHOWN: ReadonlySet<string> = new Set(['mode', 'url', 'address', 'traceId'])
/** The longest method that is common. */
const METHOD_WIDTH = 6

/** A value as a terminal may show it; only our own stacks and messages have several lines. */
function shown(value: unknown, name?: string): string {
  const text = textOf(value, name)
  return name === 'error' || name === 'runtimeText' ? printableLines(text) : printable(text)
}

/** Writes lines for people: a request as one short line, anything else as its message with what is known. */
export function createPrettyLine(palette: Palette = NO_COLOURS): (entry: LogEntry) => string {
  const requestLine = createRequestLine(palette)
  return (entry) => (entry.fields.status === undefined ? messageLine(entry, palette) : requestLine(entry))
}

function messageLine({ timeMs, level, message, fields }: LogEntry, palette: Palette): string {
  const prefix = prefixOf(level, palette)
  const rest = Object.entries(fields)
    .filter(([name, value]) => value !== undefined && !UNSHOWN.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'number' ? jsonNumber(value) : shown(value, name)}`)
  if (fields.requestId === undefined)
    return `${prefix}${printableLines(clean(message, STACK_MAX))}${rest.length > 0 ? ` (${rest.join(' ')})` : ''}`
  return `${palette.dim(clockText(timeMs))} ${prefix}${printable(clean(message))} ${rest.join(' ')}`
}

function prefixOf(level: LogEntry['level'], { yellow, red }: Palette): string {
  if (level === 'info') return ''
  return level === 'warn' ? `${yellow('warning:')} ` : level === 'error' ? `${red('error:')} ` : `${level}: `
}

/** `14:03:07 200 POST   /models/iris/predict/ 1.2 ms me`; a failure also has its code, its reason and the id of the request. */
function createRequestLine({ dim, green, yellow, red }: Palette): (entry: LogEntry) => string {
  const targetOf = rememberedTarget((fields) => {
    const { status = 0, method = '' } = fields
    const colour = status >= 500 ? red : status >= 400 ? yellow : green
    return `${colour(String(status))} ${method.padEnd(METHOD_WIDTH)} ${pathOf(fields)}`
  })
  const callerOf = rememberedCaller(({ issuer, subject }) =>
    [issuer, subject].map((name) => (name === undefined ? '' : ` ${shownOften(name)}`)).join(''),
  )
  return ({ timeMs, fields }) => {
    const { status = 0, durationMs = 0, code, reason, requestId } = fields
    const line = `${dim(clockText(timeMs))} ${targetOf(fields)} ${dim(durationText(durationMs))}${callerOf(fields)}`
    if (status < 400) return line
    const why = [code, reason && shown(reason)].filter(Boolean).join(': ')
    return `${line} ${why} ${dim(`id=${shown(requestId)}`)}`
  }
}

/** The same for a text that many lines have. */
const shownOften = remembered((text) => shown(text))

/** The route, with the model's name in it; the path of a request without a route may hold anything. */
function pathOf({ route = '', model }: LogFields): string {
  if (route === 'other') return '(unknown path)'
  const path = shownOften(route)
  return model === undefined ? path : path.replace(':name', () => shownOften(model))
}

/** Most durations, in tenths of a millisecond. */
const TENTHS = Array.from({ length: 100 }, (_, tenths) => `${(tenths / 10).toFixed(1)} ms`)

function durationText(ms: number): string {
  return ms < 9.9
    ? (TENTHS[Math.round(ms * 10)] ?? '0.0 ms')
    : ms < 10
      ? `${ms.toFixed(1)} ms`
      : ms < 10_000
        ? `${Math.round(ms)} ms`
        : `${(ms / 1000).toFixed(1)} s`
}

let second = Number.NaN
let secondText = ''

/** The time on the clock of this machine. The text of a second is made once. */
function clockText(timeMs: number): string {
  const now = Math.floor(timeMs / 1000)
  if (now !== second) {
    const date = new Date(timeMs)
    second = now
    secondText = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
  }
  return secondText
}
